import AsyncHTTPClient
import Locks
import Logging
import NIOCore

/// One generation: a request, and the same once more where a kept connection turned out to be closed, or the server wants it in
/// another form.
final class HTTPGeneration: LLMGeneration {
    private struct State {
        /// Nil at the end.
        var receiver: (any LLMReceiver)?
        var response: HTTPGenerationAttempt?
        /// Nil until it is written, and once the model has begun to answer: it is not sent again then.
        var outgoing: OutgoingRequest?
        var isCancelled = false
        var isRepeated = false
        /// What the request that is under way has because it was refused before.
        var conceded: Concessions = []
    }

    private let provider: OpenAIProvider
    private let client: PerEventLoopHTTPClient?
    private let state: Guarded<State>
    private let begun = NIODeadline.now()

    /// A request of more bytes is written elsewhere than on the event loop, which it would hold up.
    private static let largeBytes = 1 << 20

    init(_ provider: OpenAIProvider, client: PerEventLoopHTTPClient?, receiver: any LLMReceiver) {
        self.provider = provider
        self.client = client
        state = Guarded(State(receiver: receiver))
    }

    /// Nothing of the request is kept but what goes over the wire.
    func start(_ request: LLMRequest) {
        guard let client else {
            return ended(.failure(LLMError(.unavailable, "There is no event loop to connect to the model on.")))
        }
        let bytes = request.messages.reduce(0) { $0 + $1.readableBytes } + request.reasoning.reduce(0) { $0 + $1.readableBytes }
        guard bytes > Self.largeBytes else {
            write(request)
            return send(over: client)
        }
        // No task waits for the model, and this one ends before the request is sent.
        Task {
            write(request)
            client.eventLoop.execute { self.send(over: client) }
        }
    }

    private func write(_ request: LLMRequest) {
        let outgoing = OutgoingRequest(request, to: provider)
        state.withLock { $0.outgoing = outgoing }
    }

    private func send(over client: PerEventLoopHTTPClient) {
        let response = HTTPGenerationAttempt(of: self, provider: provider, client: client)
        let outgoing = state.withLock { state -> OutgoingRequest? in
            state.response = response
            return state.isCancelled ? nil : state.outgoing
        }
        guard let outgoing else { return ended(.failure(CancellationError())) }
        response.start(outgoing.request)
    }

    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            return state.response
        }?.cancel()
    }

    // MARK: What the response tells

    /// The response's head has come. The request is kept where it may have to be sent once more.
    func answerHasBegun(status: Int) {
        let conceded = state.withLock { state in
            if !Concessions.mayBeAskedFor(byStatus: status) { state.outgoing = nil }
            return state.conceded
        }
        if 200..<300 ~= status, !conceded.isEmpty { provider.learn(conceded) }
    }

    /// - Throws: `CancellationError` after ``cancel()``, so that what was dropped is never the end of a whole answer.
    func receive(_ batch: [LLMEvent]) throws {
        let receiver = state.withLock { $0.isCancelled ? nil : $0.receiver }
        guard let receiver else { throw CancellationError() }
        try receiver.receive(batch)
    }

    func ended(_ result: Result<Void, any Error>) {
        var result = result
        if case .failure(let lost as HTTPGenerationAttempt.LostBeforeHead) = result {
            if lost.wasKept, let client, mayRepeat() {
                provider.logger.debug("kept connection was closed, sending the request again")
                return send(over: client)
            }
            result = .failure(provider.describe(lost.cause))
        }
        if case .failure(let refusal as LLMError) = result, let client, concede(refusal.asksFor) {
            return send(over: client)
        }
        let (receiver, _) = state.withLock { state in
            state.response = nil
            return (state.receiver.take(), state.outgoing.take())
        }
        receiver?.end(result)
    }

    /// Changes the request as its refusal asks for. Each concession is made once.
    private func concede(_ asked: Concessions) -> Bool {
        let asked = asked.intersection(provider.configuration.form.negotiable)
        return state.withLock { state in
            guard !state.isCancelled, let possible = state.outgoing?.concessions.intersection(asked), !possible.isEmpty else {
                return false
            }
            state.outgoing?.concede(possible)
            state.conceded.formUnion(possible)
            return true
        }
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
