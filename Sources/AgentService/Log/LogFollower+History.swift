import NIOCore
import SessionStore

/// The events of a follower that are not in the log. They carry no id, except a last event behind
/// which the client may resume.
extension LogFollower {
    /// Emits the end of a step whose events have left the log, reconstructed from the history.
    ///
    /// - Returns: Whether the last event was emitted.
    func reconstruct(_ reader: LogReader, _ view: LogView) async -> Bool {
        guard view.step > 0 else {
            return fail(reader.step, "the session was deleted", code: "session_deleted", retryable: false)
        }
        do throws(StoreError) {
            let journal = try await store.journal(session, as: requester)
            let rebuilt: ReconstructedStep?
            switch ReconstructedStep.find(reader.step, nonce: reader.knownNonce, journal: journal.lines, isComplete: journal.isComplete) {
            case .found(let step): rebuilt = step
            case .missing: rebuilt = nil
            case .otherSession:
                return fail(
                    reader.step, "the session was deleted, and another one has its name", code: "session_deleted", retryable: false,
                    id: try await idToGoOn(after: reader.step))
            }
            guard let rebuilt, try await store.historyLength(session, as: requester) > 0
            else {
                let message = "the events of this step are gone; read the session's history"
                return fail(reader.step, message, code: "events_gone", id: try await idToGoOn(after: reader.step))
            }
            let messages = try await store.messages(session, in: rebuilt.range, as: requester)
            let id = try await idToGoOn(after: rebuilt.step)
            // A client that has a part of the text learns that the text comes once more.
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

    /// Returns the id by which a client resumes that got a step's end without the log. An
    /// `EventSource` resumes with the last id that it got: without a new one it would get the same
    /// end for ever.
    ///
    /// - Returns: The id before the oldest step that the log still holds, so that this step comes
    ///   next; the id behind the session's latest step if the log holds none; nil if not even that
    ///   step is known, or if the client follows one request.
    private func idToGoOn(after step: Int) async throws(StoreError) -> EventID? {
        guard followsSession else { return nil }
        let view = try await store.log(session, afterStep: step, sequence: .max, limit: 1, as: requester)
        if let next = view.entries.first, next.lastSequence == 0 { return EventID(step: next.step, sequence: 0, nonce: next.nonce) }
        return view.nonce.isEmpty ? nil : .end(of: view.step, nonce: view.nonce)
    }

    func restart(_ step: Int, voiding voided: Int, because reason: StepRestart.Reason) {
        stream.emit(.restarted(StepRestart(step: step, replaces: voided, reason: reason)))
    }

    /// Emits a failure that is not in the log.
    ///
    /// - Returns: True: the last event was emitted.
    func fail(_ step: Int, _ message: String, code: String, retryable: Bool = true, id: EventID? = nil) -> Bool {
        stream.write { output in
            output.emit(.failed(StepFailure(message, code: code, isRetryable: retryable)))
            output.emit(.finished(StepSummary(status: .failed, session: session, step: step)), id: id)
        }
        return true
    }
}
