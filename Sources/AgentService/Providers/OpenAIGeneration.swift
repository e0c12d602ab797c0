import Logging
import NIOCore
import Synchronization

/// One generation: a request, and the same once more where a kept connection turned out to be closed.
final class OpenAIGeneration: LLMGeneration {
    private struct State {
        /// Nil at the end.
        var receiver: (any LLMReceiver)?
        var response: OpenAIResponse?
        var isCancelled = false
        var isRepeated = false
    }

    private let provider: OpenAIProvider
    private let request: LLMRequest
    private let client: LoopClient?
    private let state: Mutex<State>
    private let begun = NIODeadline.now()

    init(_ provider: OpenAIProvider, _ request: LLMRequest, client: LoopClient?, receiver: any LLMReceiver) {
        self.provider = provider
        self.request = request
        self.client = client
        state = Mutex(State(receiver: receiver))
    }

    func start() {
        guard let client else {
            return ended(.failure(LLMError(.unavailable, "There is no event loop to connect to the model on.")))
        }
        let response = OpenAIResponse(of: self, provider: provider, client: client)
        let isCancelled = state.withLock { state in
            state.response = response
            return state.isCancelled
        }
        guard !isCancelled else { return ended(.failure(CancellationError())) }
        response.start(provider.upstreamRequest(request))
    }

    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            return state.response
        }?.cancel()
    }

    // MARK: What the response tells

    /// - Throws: `CancellationError` after ``cancel()``, so that what was dropped is never the end of a whole answer.
    func receive(_ batch: [LLMEvent]) throws {
        let receiver = state.withLock { $0.isCancelled ? nil : $0.receiver }
        guard let receiver else { throw CancellationError() }
        try receiver.receive(batch)
    }

    func ended(_ result: Result<Void, any Error>) {
        var result = result
        if case .failure(let lost as OpenAIResponse.LostBeforeHead) = result {
            if lost.wasKept, mayRepeat() {
                provider.logger.debug("kept connection was closed, sending the request again")
                return start()
            }
            result = .failure(provider.describe(lost.cause))
        }
        let receiver = state.withLock { state in
            state.response = nil
            return state.receiver.take()
        }
        receiver?.end(result)
    }

    /// A kept connection may be closed by the server in the moment in which it is used again. The request was not answered, and is sent once more. The
    /// HTTP client leaves that to its user. A loss that comes later ends a generation that had begun, and whoever pays for it should decide
    /// whether to begin another.
    private func mayRepeat() -> Bool {
        guard NIODeadline.now() - begun < .seconds(1) else { return false }
        return state.withLock { state in
            defer { state.isRepeated = true }
            return !state.isRepeated && !state.isCancelled
        }
    }
}
