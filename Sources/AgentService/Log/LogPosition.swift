import NIOCore
import SessionStore

/// Where a client stands in a session's log: what it has, and so what it is told next.
public struct LogPosition: Sendable, Equatable {
    let step: Int
    /// The last event that the client has; -1 for none.
    let sequence: Int
    /// That of the client's event id; nil where it gave none.
    let nonce: String?
    /// The step of which the client may have text that is void now: it gave an event id from which nothing goes on.
    let voids: Int?
    /// That of an id of this very step whose opening has left the log: the end of the step is told from the history if it was written under it.
    let formerNonce: String?

    private init(step: Int, sequence: Int, nonce: String? = nil, voids: Int? = nil, formerNonce: String? = nil) {
        (self.step, self.sequence, self.nonce, self.voids, self.formerNonce) = (step, sequence, nonce, voids, formerNonce)
    }

    /// Before the first event of a step.
    static func beginning(of step: Int, voiding voided: Int? = nil) -> LogPosition {
        LogPosition(step: step, sequence: -1, voids: voided)
    }

    /// Before the first event of the step of an event that the log does not have any more.
    static func beginning(ofStepOf id: EventID) -> LogPosition {
        LogPosition(step: id.step, sequence: -1, voids: id.step, formerNonce: id.nonce)
    }

    /// Behind an event.
    static func after(_ id: EventID) -> LogPosition {
        LogPosition(step: id.step, sequence: id.sequence, nonce: id.nonce)
    }

    /// Before an event: it is told once more.
    static func before(_ id: EventID) -> LogPosition {
        LogPosition(step: id.step, sequence: max(0, id.sequence - 1), nonce: id.nonce)
    }

    /// Behind everything that a step has said or will say under a lease: only what replaces it is told.
    static func end(of step: Int, nonce: String) -> LogPosition {
        LogPosition(step: step, sequence: .max, nonce: nonce)
    }
}

extension LogPosition {
    /// Where a client goes on that has the events up to `id` (I5).
    ///
    /// - Parameters:
    ///   - view: The log after `id`, with the entry that opens its step.
    ///   - joinsNext: Whether a client that has all of its step is told the next one, which answers another message.
    /// - Returns: Nil when there is nothing to tell.
    static func resuming(after id: EventID, in view: LogView, joinsNext: Bool) -> LogPosition? {
        guard let opening = view.opening else {
            // It was told the end of the latest step from the history.
            if !view.isRunning, id == .end(of: view.step, nonce: view.nonce) { return nil }
            // Older than the log; or of a session that was deleted and begun anew, or of a log that a failover cut off.
            return id.step <= view.step ? .beginning(ofStepOf: id) : .beginning(of: view.step, voiding: id.step)
        }
        guard opening.nonce == id.nonce else { return .beginning(of: id.step, voiding: id.step) }
        guard let next = view.entries.first else {
            return view.isRunning && view.step == id.step ? .after(id) : nil
        }
        guard next.step > id.step, next.replaces != id.step else { return .after(id) }
        // The next step has begun by itself, so this one had ended.
        return joinsNext ? .beginning(of: next.step) : nil
    }
}

extension LogEntry {
    /// Of an entry that opens a step: the nonce of its event ids.
    var nonce: String { opening("nonce").map { String(buffer: $0) } ?? "" }
    /// Of an entry that opens a step: the step whose place it takes; nil where it began by itself.
    var replaces: Int? { opening("replaces").flatMap { Int(String(buffer: $0)) } }
}
