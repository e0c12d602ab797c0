import NIOCore
import SessionStore

/// What a follower tells that is not in the log. These events carry no id.
extension StepFollower {
    /// The log does not have the rest: the end of the step is made again from the history.
    ///
    /// - Returns: True: `done` was told.
    func tellFromHistory(_ reader: LogReader, _ view: LogView) async -> Bool {
        guard view.step > 0 else {
            return fail(reader.step, "the session was deleted", code: "session_deleted", retryable: false)
        }
        do throws(StoreError) {
            let journal = try await store.journal(session)
            guard let rebuilt = RebuiltStep(step: reader.step, journal: journal.lines, isComplete: journal.isComplete),
                let page = try await store.history(session, offset: rebuilt.range.lowerBound, limit: rebuilt.range.count)
            else { return fail(reader.step, "the events of this step are gone; read the session's history", code: "events_gone") }
            // Whoever has a part of the text is told that it comes once more.
            if reader.sequence > 0 { restart(rebuilt.step, voiding: reader.step, because: .eventsGone) }
            stream.write { buffer in
                for event in rebuilt.events(session, messages: page.messages) {
                    EventEncoder.write(unlogged: event.name, json: event.json, into: &buffer)
                }
            }
            return true
        } catch {
            return fail(reader.step, "the history of this step cannot be read", code: "store_unavailable")
        }
    }

    func restart(_ step: Int, voiding voided: Int, because reason: StreamChunk.RestartReason) {
        let json = StreamChunk.restart(step: step, replaces: voided, reason: reason)
        stream.write { EventEncoder.write(unlogged: .restart, json: json, into: &$0) }
    }

    /// - Returns: True: `done` was told.
    func fail(_ step: Int, _ message: String, code: String, retryable: Bool = true) -> Bool {
        let done = DoneEvent(status: .failed, session: session, step: step)
        stream.write { buffer in
            EventEncoder.write(unlogged: .error, json: StreamChunk.error(message, code: code, retryable: retryable), into: &buffer)
            EventEncoder.write(unlogged: .done, json: done.json, into: &buffer)
        }
        return true
    }
}
