/// The id of an event in a session's log, on the wire `STEP-SEQ.NONCE`. Opaque to clients; it grows
/// from event to event.
public struct EventID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The step's fence, ≥ 1.
    public var step: Int
    /// The event's number within the step; 0 opens a step.
    public var sequence: Int
    /// The lease that wrote it; see ``LeaseToken/nonce``.
    public var nonce: String

    /// Makes an id from its parts.
    public init(step: Int, sequence: Int, nonce: String) {
        self.step = step
        self.sequence = sequence
        self.nonce = nonce
    }

    /// Returns a position behind all events of a step, present and future.
    public static func end(of step: Int, nonce: String) -> EventID {
        // More than any event's number, and still a whole number in JavaScript.
        EventID(step: step, sequence: (1 << 53) - 1, nonce: nonce)
    }

    /// Parses what ``description`` returns; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 64, let dash = text.firstIndex(of: "-"), let dot = text.lastIndex(of: "."), dash < dot,
            let step = Int(text[..<dash]), step > 0,
            let sequence = Int(text[text.index(after: dash)..<dot]), sequence >= 0
        else { return nil }
        let nonce = text[text.index(after: dot)...]
        guard !nonce.isEmpty, nonce.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }) else { return nil }
        self.init(step: step, sequence: sequence, nonce: String(nonce))
        // `Int` accepts a sign and leading zeros, too.
        guard text == description else { return nil }
    }

    /// Orders ids of one session by their place in the log.
    public static func < (lhs: EventID, rhs: EventID) -> Bool {
        (lhs.step, lhs.sequence) < (rhs.step, rhs.sequence)
    }

    public var description: String { "\(step)-\(sequence).\(nonce)" }
}
