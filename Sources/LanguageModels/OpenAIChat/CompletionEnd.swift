/// Whether a completion has ended, and why.
///
/// A reason that comes before the model's words does not count: some servers send one with each
/// chunk. Text that follows a reason shows that. From then on only the stream's own end counts.
struct CompletionEnd: Sendable {
    private var reason: FinishReason?
    /// Whether the model has said something.
    private(set) var isBegun = false
    /// Whether a reason has come behind words, and not with the first of them.
    private var isBehindWords = false
    /// Whether text has followed a reason.
    private(set) var isInDoubt = false

    var hasReason: Bool { reason != nil }

    /// Whether the model has said why it stopped, and nothing since.
    var isReached: Bool {
        guard let reason, !isInDoubt else { return false }
        return switch reason {
        // A model that has said nothing yet may be about to. One that names a reason with its first
        // words may do so with all.
        case .stop, .toolCalls: isBehindWords
        case .length, .contentFilter, .failure, .unknown: true
        }
    }

    /// Notes more of the text or of a call. A text delta passes here.
    mutating func somethingWasSaid() {
        isBegun = true
        if reason != nil { isInDoubt = true }
    }

    /// Notes a reason.
    ///
    /// - Parameter isBehindWords: Whether the model had said something before the chunk that names
    ///   the reason.
    mutating func take(_ reason: FinishReason, isBehindWords: Bool) {
        self.reason = reason
        self.isBehindWords = self.isBehindWords || isBehindWords
    }

    /// Returns why a completion ended that has reached its end; nil for one that has broken off.
    ///
    /// - Parameter isMarked: Whether the server has marked the end. Then a completion needs no
    ///   reason.
    func reason(isMarked: Bool) -> FinishReason? {
        reason ?? (isMarked && isBegun ? .stop : nil)
    }
}
