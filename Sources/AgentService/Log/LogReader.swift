import SessionStore

/// Reads a step from its session's log, then the steps that replace it, up to the last event. A
/// value: it takes the log's entries in order and returns the events that the client does not have.
struct LogReader: Equatable {
    enum Outcome: Equatable {
        /// All entries were read; more may come.
        case more
        /// The last event was read.
        case done
        /// The log does not hold the event that comes next.
        case gone
    }

    private let session: SessionID
    private(set) var step: Int
    /// The sequence number of the last event that the client has; -1 before the first.
    private(set) var sequence: Int
    /// Nil until the entry that opens the step was read.
    private(set) var nonce: String?
    private var formerNonce: String?

    init(_ position: LogPosition, of session: SessionID) {
        self.session = session
        (step, sequence, nonce, formerNonce) = (position.step, position.sequence, position.nonce, position.formerNonce)
    }

    /// The nonce by which the journal's line of the step differs from another session's; nil where
    /// the client has none.
    var knownNonce: String? { nonce ?? formerNonce }

    /// The position in the log behind which the next entries lie.
    var position: (step: Int, sequence: Int) {
        // A client without an event of the step also needs the entry that opens it.
        sequence < 0 ? (step - 1, .max) : (step, sequence)
    }

    /// Appends the events of `entries` that the client does not have.
    mutating func read(_ entries: [LogEntry], into events: inout [IdentifiedEvent]) -> Outcome {
        for entry in entries {
            let outcome = entry.lastSequence == 0 ? open(entry, into: &events) : read(entry, into: &events)
            guard outcome == .more else { return outcome }
        }
        return .more
    }

    /// Begins the step again: its number belongs to another lease by now, so the events that the
    /// client has are void.
    mutating func restart() {
        (sequence, nonce, formerNonce) = (-1, nil, nil)
    }

    /// Reads the entry that opens a step. A later step continues this one only if it says that it
    /// replaces it: otherwise the entries of this step are gone, and the later step answers another
    /// message.
    private mutating func open(_ entry: LogEntry, into events: inout [IdentifiedEvent]) -> Outcome {
        guard entry.step == step ? sequence < 0 : entry.step > step && entry.replaces == step else { return .gone }
        (step, sequence, nonce, formerNonce) = (entry.step, 0, entry.nonce, nil)
        guard let value = entry.opening("restart") else { return .more }
        guard let restart = try? LogCodec.restart(value) else { return .gone }
        events.append(IdentifiedEvent(id: EventID(step: step, sequence: 0, nonce: entry.nonce), event: .restarted(restart)))
        return .more
    }

    private mutating func read(_ entry: LogEntry, into events: inout [IdentifiedEvent]) -> Outcome {
        guard entry.step == step else { return .gone }
        guard entry.lastSequence > sequence else { return .more }
        var id = EventID(step: step, sequence: entry.lastSequence - entry.fields.count, nonce: nonce ?? "")
        // An event between was cut out of the log.
        guard nonce != nil, id.sequence <= sequence else { return .gone }
        for field in entry.fields {
            id.sequence += 1
            guard id.sequence > sequence else { continue }
            do throws(LogCodec.Damaged) {
                guard let event = try LogCodec.event(field.name, field.value, of: session) else { continue }
                events.append(IdentifiedEvent(id: id, event: event))
                if case .finished = event { return .done }
            } catch {
                sequence = id.sequence - 1
                return .gone
            }
        }
        sequence = entry.lastSequence
        return .more
    }
}
