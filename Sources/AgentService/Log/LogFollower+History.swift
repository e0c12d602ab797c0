import NIOCore
import SessionStore

/// What a follower tells that is not in the log. These events carry no id, but for a `done` after which a client may ask for more.
extension LogFollower {
    /// The log does not have the rest: the end of the step is made again from the history.
    ///
    /// - Returns: Whether `done` was told.
    func tellFromHistory(_ reader: LogReader, _ view: LogView) async -> Bool {
        guard view.step > 0 else {
            return fail(reader.step, "the session was deleted", code: "session_deleted", retryable: false)
        }
        do throws(StoreError) {
            let journal = try await store.journal(session)
            let rebuilt: ReconstructedStep?
            switch ReconstructedStep.find(reader.step, nonce: reader.knownNonce, journal: journal.lines, isComplete: journal.isComplete) {
            case .found(let step): rebuilt = step
            case .missing: rebuilt = nil
            case .otherSession:
                return fail(
                    reader.step, "the session was deleted, and another one has its name", code: "session_deleted", retryable: false,
                    id: try await idToGoOn(after: reader.step))
            }
            guard let rebuilt, try await store.hasHistory(session)
            else {
                let message = "the events of this step are gone; read the session's history"
                return fail(reader.step, message, code: "events_gone", id: try await idToGoOn(after: reader.step))
            }
            let messages = try await store.messages(session, in: rebuilt.range)
            let id = try await idToGoOn(after: rebuilt.step)
            // Whoever has a part of the text is told that it comes once more.
            if reader.sequence > 0 { restart(rebuilt.step, voiding: reader.step, because: .eventsGone) }
            let (events, summary) = rebuilt.events(session, messages: messages)
            stream.write { output in
                for event in events { output.emit(event) }
                output.emit(.finished(summary), id: id)
            }
            return true
        } catch {
            guard error.code == .damaged else { return false }
            return fail(reader.step, "\(error)", code: "session_damaged", retryable: false)
        }
    }

    /// What the client resumes with that was told a step's end without the log. An `EventSource` asks with the last id that it was given, and without a new one
    /// would be told the same for ever.
    ///
    /// - Returns: The id before the oldest step that the log still has, so that it is told next; behind the session's latest where it has none, or nil
    ///   where not even that one is known, or the client follows but one request.
    private func idToGoOn(after step: Int) async throws(StoreError) -> EventID? {
        guard followsSession else { return nil }
        let view = try await store.log(session, afterStep: step, sequence: .max, limit: 1)
        if let next = view.entries.first, next.lastSequence == 0 { return EventID(step: next.step, sequence: 0, nonce: next.nonce) }
        return view.nonce.isEmpty ? nil : .end(of: view.step, nonce: view.nonce)
    }

    func restart(_ step: Int, voiding voided: Int, because reason: StepRestart.Reason) {
        stream.emit(.restarted(StepRestart(step: step, replaces: voided, reason: reason)))
    }

    /// - Returns: True: `done` was told.
    func fail(_ step: Int, _ message: String, code: String, retryable: Bool = true, id: EventID? = nil) -> Bool {
        stream.write { output in
            output.emit(.failed(StepFailure(message, code: code, isRetryable: retryable)))
            output.emit(.finished(StepSummary(status: .failed, session: session, step: step)), id: id)
        }
        return true
    }
}
