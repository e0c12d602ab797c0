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
        while stream.isOpen, control.reason == nil {
            let view: LogView
            do throws(StoreError) {
                // Nothing seen yet: the entry that opens the step is wanted, too.
                let isFresh = place.sequence < 0
                view = try await store.log(
                    session, afterStep: isFresh ? place.step - 1 : place.step, sequence: isFresh ? .max : place.sequence,
                    limit: Self.page)
            } catch {
                fail("the log of this step cannot be read", code: "store_unavailable")
                return
            }
            if tell(view.entries, place: &place) { return }
            guard view.entries.isEmpty else {
                pause = .milliseconds(20)
                continue
            }
            guard view.status == .running else {
                fail("the events of this step are gone; read the session's history", code: "events_gone")
                return
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(250))
        }
    }

    private struct Place {
        var step: Int
        var sequence: Int
        var nonce = ""
        var encoder: EventEncoder?
    }

    /// Sends what is new.
    ///
    /// - Returns: Whether the stream has had its last event.
    private func tell(_ entries: [LogEntry], place: inout Place) -> Bool {
        var isDone = false
        stream.write { buffer in
            for entry in entries where !isDone {
                if entry.step > place.step || place.encoder == nil {
                    if entry.step > place.step { place.sequence = -1 }
                    place.step = entry.step
                }
                if entry.lastSequence == 0 {
                    let encoder = EventEncoder(step: entry.step, nonce: entry.opening("nonce").map { String(buffer: $0) } ?? "")
                    place.encoder = encoder
                    place.sequence = max(place.sequence, 0)
                    if let restart = entry.opening("restart") {
                        encoder.write(.restart, json: restart, sequence: 0, into: &buffer)
                    }
                    continue
                }
                guard let encoder = place.encoder else { continue }
                var sequence = entry.lastSequence - entry.fields.count
                for field in entry.fields {
                    sequence += 1
                    guard sequence > place.sequence, let name = LoggedEvents.Name(rawValue: field.name) else { continue }
                    if name == .token {
                        encoder.write(token: String(buffer: field.value), sequence: sequence, into: &buffer)
                    } else {
                        encoder.write(name, json: field.value, sequence: sequence, into: &buffer)
                    }
                    isDone = isDone || name == .done
                }
                place.sequence = max(place.sequence, entry.lastSequence)
            }
        }
        return isDone
    }

    private func fail(_ message: String, code: String) {
        let done = DoneEvent(status: .failed, session: session, step: step)
        stream.write { buffer in
            EventEncoder.write(unlogged: .error, json: StreamChunk.error(message, code: code, retryable: true), into: &buffer)
            EventEncoder.write(unlogged: .done, json: done.json, into: &buffer)
        }
    }
}
