import NIOCore
import SessionStore

/// Tells a step from its session's log, and on through the steps that replace it, to `done`. A value: it is given the log's entries in
/// order and writes the events that the client does not have.
struct LogReader: Equatable {
    enum Outcome: Equatable {
        /// All of it was told; more may come.
        case more
        /// The stream has had its last event.
        case done
        /// The log does not have what comes next.
        case gone
    }

    private(set) var step: Int
    /// The last event that the client has; -1 before the first.
    private(set) var sequence: Int
    /// Nil before the entry that opens the step was read.
    private(set) var nonce: String?
    private var formerNonce: String?

    init(_ position: LogPosition) {
        (step, sequence, nonce, formerNonce) = (position.step, position.sequence, position.nonce, position.formerNonce)
    }

    /// The nonce by which the journal's line of the step is told from that of another session; nil where the client has none.
    var knownNonce: String? { nonce ?? formerNonce }

    /// What to ask the log for: the entries after this place.
    var position: (step: Int, sequence: Int) {
        // Before the first event, the entry that opens the step is wanted as well.
        sequence < 0 ? (step - 1, .max) : (step, sequence)
    }

    mutating func read(_ entries: [LogEntry], into buffer: inout ByteBuffer) -> Outcome {
        for entry in entries {
            let outcome = entry.lastSequence == 0 ? open(entry, into: &buffer) : tell(entry, into: &buffer)
            guard outcome == .more else { return outcome }
        }
        return .more
    }

    /// The step's number belongs to another lease by now: what was told of it is void.
    mutating func restart() {
        (sequence, nonce, formerNonce) = (-1, nil, nil)
    }

    /// Takes in the entry that opens a step. One after the step that is told goes on with it only if it says that it replaces it: else the
    /// step's own entries are gone, and what follows answers another message.
    private mutating func open(_ entry: LogEntry, into buffer: inout ByteBuffer) -> Outcome {
        guard entry.step == step ? sequence < 0 : entry.step > step && entry.replaces == step else { return .gone }
        (step, sequence, nonce, formerNonce) = (entry.step, 0, entry.nonce, nil)
        if let restart = entry.opening("restart") {
            EventEncoder(step: step, nonce: entry.nonce).write(.restart, json: restart, sequence: 0, into: &buffer)
        }
        return .more
    }

    private mutating func tell(_ entry: LogEntry, into buffer: inout ByteBuffer) -> Outcome {
        guard entry.step == step else { return .gone }
        guard entry.lastSequence > sequence else { return .more }
        var position = entry.lastSequence - entry.fields.count
        // An event between was cut out of the log.
        guard let nonce, position <= sequence else { return .gone }
        let encoder = EventEncoder(step: step, nonce: nonce)
        for field in entry.fields {
            position += 1
            guard position > sequence, let name = LoggedEvents.Name(rawValue: field.name) else { continue }
            switch name {
            case .token: encoder.write(token: String(buffer: field.value), sequence: position, into: &buffer)
            case .reasoning: encoder.write(reasoning: String(buffer: field.value), sequence: position, into: &buffer)
            case .message, .error, .done, .restart: encoder.write(name, json: field.value, sequence: position, into: &buffer)
            }
            if name == .done { return .done }
        }
        sequence = entry.lastSequence
        return .more
    }
}
