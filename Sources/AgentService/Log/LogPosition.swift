import NIOCore
import SessionStore

/// A client's position in a session's log: the event that it has, and so the one that comes next.
public struct LogPosition: Sendable, Equatable {
    let step: Int
    /// The sequence number of the last event that the client has; -1 for none.
    let sequence: Int
    /// The nonce of the client's event id; nil where it gave none.
    let nonce: String?
    /// The step whose text is void for the client: the log does not continue from the event id that
    /// it gave.
    let voids: Int?
    /// The nonce of an id of this step, if the step's opening has left the log. The step's end is
    /// reconstructed from the history only if it was written under this nonce.
    let formerNonce: String?

    private init(step: Int, sequence: Int, nonce: String? = nil, voids: Int? = nil, formerNonce: String? = nil) {
        (self.step, self.sequence, self.nonce, self.voids, self.formerNonce) = (step, sequence, nonce, voids, formerNonce)
    }

    /// The position before the first event of a step.
    static func beginning(of step: Int, voiding voided: Int? = nil) -> LogPosition {
        LogPosition(step: step, sequence: -1, voids: voided)
    }

    /// The position before the first event of a step, for a client whose event the log no longer
    /// holds.
    static func beginning(ofStepOf id: EventID) -> LogPosition {
        LogPosition(step: id.step, sequence: -1, voids: id.step, formerNonce: id.nonce)
    }

    /// The position behind an event.
    static func after(_ id: EventID) -> LogPosition {
        LogPosition(step: id.step, sequence: id.sequence, nonce: id.nonce)
    }

    /// The position before an event: the client gets it once more.
    static func before(_ id: EventID) -> LogPosition {
        LogPosition(step: id.step, sequence: max(0, id.sequence - 1), nonce: id.nonce)
    }

    /// The position behind all events of a step under one lease: the client gets only the steps
    /// that replace it.
    static func end(of step: Int, nonce: String) -> LogPosition {
        LogPosition(step: step, sequence: .max, nonce: nonce)
    }
}

extension LogPosition {
    /// Returns the position of a client that has the events up to `id` (I5).
    ///
    /// - Parameters:
    ///   - view: The log behind `id`, with the entry that opens its step.
    ///   - joinsNext: Whether a client that has all events of its step gets the next step, which
    ///     answers another message.
    /// - Returns: Nil when the client has everything.
    static func resuming(after id: EventID, in view: LogView, joinsNext: Bool) -> LogPosition? {
        guard let opening = view.opening else {
            // The client got the end of the latest step from the history.
            if !view.isRunning, id == .end(of: view.step, nonce: view.nonce) { return nil }
            // The id is older than the log, of a session that was deleted and begun again, or of a
            // log that a failover cut.
            return id.step <= view.step ? .beginning(ofStepOf: id) : .beginning(of: view.step, voiding: id.step)
        }
        guard opening.nonce == id.nonce else { return .beginning(of: id.step, voiding: id.step) }
        guard let next = view.entries.first else {
            return view.isRunning && view.step == id.step ? .after(id) : nil
        }
        guard next.step > id.step, next.replaces != id.step else { return .after(id) }
        // The next step has begun on its own, so this one had ended.
        return joinsNext ? .beginning(of: next.step) : nil
    }
}

extension LogEntry {
    /// The nonce of a step's event ids, in the entry that opens it.
    var nonce: String { opening("nonce").map { String(buffer: $0) } ?? "" }
    /// The step that a step replaces, in the entry that opens it; nil where it began on its own.
    var replaces: Int? { opening("replaces").flatMap { Int(String(buffer: $0)) } }
}
