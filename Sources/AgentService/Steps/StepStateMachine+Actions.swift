import LanguageModels
import NIOCore
import SessionStore

/// How a step came to this replica.
enum StepOrigin {
    /// A client's message began it here.
    case begun
    /// This replica took it over from another one.
    case takenOver(TakenStep.Action, replaces: Int)
}

/// What a step does from its lease to its end. The action under way is the step's state: each
/// result leads to the next action, and ``Action/finish`` is the last one.
extension StepStateMachine {
    enum Action {
        /// Ask the model, with these messages behind the history.
        case ask(Said)
        /// Read the text that a step has in the log.
        case readLog(step: Int)
        /// Store the end of the step, then emit it.
        ///
        /// - Parameter cause: Why the step failed, for this replica's own log.
        case commit(Ending, cause: String? = nil)
        /// Follow the session for the client: another replica has the lease.
        case follow(step: Int, intent: String)
        /// Release the lease, so that another replica runs the step at once, and send the client
        /// there.
        case release(StreamSignal)
        /// Keep the lease until it runs out: the replica that takes the step over then runs it
        /// again, or ends it.
        case abandon(StreamSignal?)
        /// End the client's stream with a failure that the log does not hold.
        case fail(StepFailure)
        /// Release what the step holds on this replica.
        case finish
    }

    /// Why the model was not asked.
    enum Unasked: Error {
        /// Other histories fill the room that there is.
        case crowded
        /// The history could not be read.
        case store(StoreError)
    }

    /// Returns what a step begins with whose lease this replica holds.
    func opened(as origin: StepOrigin) -> Action {
        switch origin {
        case .begun, .takenOver(.run, _): return .ask(Said())
        case .takenOver(.cancel, let replaces): return .readLog(step: replaces)
        case .takenOver(.fail, _):
            let message = "every replica that ran this step was lost; send the request again"
            return .commit(failure(message, code: "takeover_exhausted", retryable: true))
        }
    }

    /// Returns what follows a generation that has ended, or could not begin.
    ///
    /// - Parameter reason: Why the step was stopped; nil where it was not. A completion that is
    ///   whole is stored all the same.
    func generated(_ result: Result<Conclusion, any Error>, stopped reason: StopReason?) -> Action {
        switch (reason, result) {
        case (.lost(let step, let intent), _): .follow(step: step, intent: intent)
        case (_, .success(.commit(let ending))): .commit(ending)
        case (.draining, _): .release(.resumeElsewhere)
        case (.clientLeft, _): .commit(Self.cancelled(text: text))
        case (nil, .success(.repair(let said))): .ask(said)
        case (nil, .failure(let error as LLMError)): .commit(failed(error), cause: error.logText)
        // The model was not asked, so the step has not failed. Another replica may have room for
        // its history.
        case (nil, .failure(Unasked.crowded)): .release(.resumeLater)
        case (nil, .failure): .abandon(.resumeLater)
        }
    }

    /// Returns what follows when the text of a cancelled step was read from its log.
    ///
    /// - Parameter text: Nil where Redis did not return it.
    func loggedText(_ text: ByteBuffer?) -> Action {
        text.map { .commit(Self.cancelled(text: $0)) } ?? .abandon(nil)
    }

    /// Returns what follows the commit.
    func committed(_ answer: Result<LeaseAnswer, StoreError>) -> Action {
        switch answer {
        case .success(.held): .finish
        case .success(.lost(let step, let intent)): .follow(step: step, intent: intent)
        case .failure:
            .fail(
                StepFailure("the answer could not be stored; send the request again", code: "store_unavailable", isRetryable: true))
        }
    }
}
