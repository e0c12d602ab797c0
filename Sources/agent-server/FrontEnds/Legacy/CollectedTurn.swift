import AgentService
import Locks
import NIOCore
import SessionStore

/// Collects a turn's events for a client that wants one response. It writes no bytes.
final class CollectedTurn: StreamEncoder {
    /// What the events say of the turn.
    struct Outcome: Sendable {
        /// The final text.
        var text = ""
        /// Why there is no text.
        var failure: (code: String, message: String)?
        /// The step ended; otherwise it goes on without this replica, or without this client.
        var isFinished = false
        /// A cancel cut the text off.
        var isCancelled = false
    }

    private let state = Guarded(Outcome())

    /// What the events so far say.
    var outcome: Outcome { state.withLock { $0 } }

    func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer) {
        state.withLock { outcome in
            switch event {
            case .text(let text, _):
                outcome.text = text
            case .toolCall:
                // The turn offered the model no tools, since this client could not run them.
                outcome.failure = ("llm_invalid_response", "the model asked for a tool that it was not offered")
            case .failed(let failure):
                outcome.failure = (failure.code, failure.message)
            case .finished(let summary):
                outcome.isFinished = true
                outcome.isCancelled = summary.status == .cancelled
            case .textDelta, .reasoningDelta, .restarted:
                break
            }
        }
    }

    func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer) {}
}
