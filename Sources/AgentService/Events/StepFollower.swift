import NIOCore
import SessionStore

/// Tells a client what the log says of a step: events that are there already, then those that come, through to `done`.
///
/// It reads the log and nothing else, so it can run on any replica, and any number of them at once.
struct StepFollower: Sendable {
    let store: RedisSessionStore
    let session: SessionID
    let control: StepControl
    let stream: ClientStream
    /// The step that is told, and the last event of it that the client has; -1 for none, `Int.max` for all of it.
    let step: Int
    let sequence: Int

    /// Entries per look at the log.
    private static let page = 256

    func run() async {
        var place = Place(step: step, sequence: sequence)
        var pause = Duration.milliseconds(20)
        var lastAnswer = ContinuousClock.now
        while stream.isOpen, control.reason == nil {
            if stream.isBehind {
                // The log is read no faster than the client reads.
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            let view: LogView
            do throws(StoreError) {
                // Nothing seen yet: the entry that opens the step is wanted, too.
                let isFresh = place.sequence < 0
                view = try await store.log(
                    session, afterStep: isFresh ? place.step - 1 : place.step, sequence: isFresh ? .max : place.sequence,
                    limit: Self.page)
                lastAnswer = .now
            } catch {
                // A connection that is being made again is no reason to give up.
                if ContinuousClock.now - lastAnswer < store.configuration.lease {
                    try? await Task.sleep(for: .milliseconds(100))
                    continue
                }
                fail("the log of this step cannot be read", code: "store_unavailable")
                return
            }
            switch tell(view.entries, place: &place) {
            case .done: return
            case .gone: return failGone()
            case .more: break
            }
            guard view.entries.isEmpty else {
                pause = .milliseconds(20)
                continue
            }
            guard view.status == .running, view.step >= place.step else { return failGone() }
            if view.isOrphaned {
                fail("the replica that ran this step is lost; send the request again", code: "replica_lost")
                return
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(250))
        }
    }

    private struct Place {
        var step: Int
        var sequence: Int
        var encoder: EventEncoder?
    }

    private enum Told {
        /// The stream has had its last event.
        case done
        /// The log does not have the rest of the step.
        case gone
        case more
    }

    /// Sends what is new.
    private func tell(_ entries: [LogEntry], place: inout Place) -> Told {
        var told = Told.more
        stream.write { buffer in
            for entry in entries {
                guard advance(&place, to: entry, into: &buffer) else {
                    told = .gone
                    return
                }
                guard let encoder = place.encoder, entry.lastSequence > 0 else { continue }
                var sequence = entry.lastSequence - entry.fields.count
                for field in entry.fields {
                    sequence += 1
                    guard sequence > place.sequence, let name = LoggedEvents.Name(rawValue: field.name) else { continue }
                    if name == .token {
                        encoder.write(token: String(buffer: field.value), sequence: sequence, into: &buffer)
                    } else {
                        encoder.write(name, json: field.value, sequence: sequence, into: &buffer)
                    }
                    if name == .done {
                        told = .done
                        return
                    }
                }
                place.sequence = max(place.sequence, entry.lastSequence)
            }
        }
        return told
    }

    /// Takes in the entry that opens a step. The first one is that of the step that is followed; a later one goes on with it only if it says
    /// that it replaces it: else the step's own entries are gone, and what follows answers somebody else's question.
    private func advance(_ place: inout Place, to entry: LogEntry, into buffer: inout ByteBuffer) -> Bool {
        if entry.step == place.step, entry.lastSequence > 0 { return true }
        guard entry.lastSequence == 0 else { return false }
        if entry.step > place.step {
            guard entry.opening("replaces").map({ String(buffer: $0) }) == String(place.step) else { return false }
            place.sequence = -1
        }
        let encoder = EventEncoder(step: entry.step, nonce: entry.opening("nonce").map { String(buffer: $0) } ?? "")
        place = Place(step: entry.step, sequence: max(place.sequence, 0), encoder: encoder)
        if let restart = entry.opening("restart") { encoder.write(.restart, json: restart, sequence: 0, into: &buffer) }
        return true
    }

    private func failGone() {
        fail("the events of this step are gone; read the session's history", code: "events_gone")
    }

    private func fail(_ message: String, code: String) {
        let done = DoneEvent(status: .failed, session: session, step: step)
        stream.write { buffer in
            EventEncoder.write(unlogged: .error, json: StreamChunk.error(message, code: code, retryable: true), into: &buffer)
            EventEncoder.write(unlogged: .done, json: done.json, into: &buffer)
        }
    }
}
