import AsyncHTTPClient
import Locks
import Logging
import NIOCore

/// One generation: a request, and the same once more if a kept connection turned out to be closed,
/// or if the server wants it in another form.
final class HTTPGeneration: LLMGeneration {
    private struct State {
        /// Nil at the end.
        var receiver: (any LLMReceiver)?
        var attempt: HTTPGenerationAttempt?
        /// Nil until it is written, and once the model has begun to write: it is not sent again
        /// then.
        var outgoing: OutgoingRequest?
        var isCancelled = false
        var isRepeated = false
        /// What the current attempt has because an earlier one was refused.
        var conceded: Concessions = []
    }

    private let model: HTTPLanguageModel
    private let client: PerEventLoopHTTPClient?
    private let state: Guarded<State>
    private let begun = NIODeadline.now()

    /// A request of more bytes is written elsewhere than on the event loop, which it would block.
    private static let largeBytes = 1 << 20

    init(_ model: HTTPLanguageModel, client: PerEventLoopHTTPClient?, receiver: any LLMReceiver) {
        self.model = model
        self.client = client
        state = Guarded(State(receiver: receiver))
    }

    /// Sends the request. Nothing of it is kept but what goes over the wire.
    func start(_ request: LLMRequest) {
        guard let client else {
            return end(.failure(LLMError(.unavailable, "There is no event loop to connect to the model on.")))
        }
        guard request.byteCount > Self.largeBytes else {
            write(request)
            return send(over: client)
        }
        // The task ends before the request is sent: no task waits for the model.
        Task {
            write(request)
            client.eventLoop.execute { self.send(over: client) }
        }
    }

    private func write(_ request: LLMRequest) {
        let outgoing = OutgoingRequest(request, to: model)
        state.withLock { $0.outgoing = outgoing }
    }

    private func send(over client: PerEventLoopHTTPClient) {
        let attempt = HTTPGenerationAttempt(of: self, model: model, client: client)
        let outgoing = state.withLock { state -> OutgoingRequest? in
            state.attempt = attempt
            return state.isCancelled ? nil : state.outgoing
        }
        guard let outgoing else { return end(.failure(CancellationError())) }
        attempt.start(outgoing.request)
    }

    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            return state.attempt
        }?.cancel()
    }

    // MARK: What an attempt reports

    /// Takes the status of the response. The request is kept if it may have to be sent once more.
    func responseHasBegun(status: Int) {
        let conceded = state.withLock { state in
            if !Concessions.mayBeAskedFor(byStatus: status) { state.outgoing = nil }
            return state.conceded
        }
        if 200..<300 ~= status, !conceded.isEmpty { model.learn(conceded) }
    }

    /// Passes events on.
    ///
    /// - Throws: `CancellationError` after ``cancel()``, so that dropped events are never the end
    ///   of a whole completion.
    func receive(_ batch: [LLMEvent]) throws {
        let receiver = state.withLock { $0.isCancelled ? nil : $0.receiver }
        guard let receiver else { throw CancellationError() }
        try receiver.receive(batch)
    }

    /// Takes the end of an attempt: makes another one, or ends the generation.
    func end(_ result: Result<Void, any Error>) {
        var result = result
        if case .failure(let lost as HTTPGenerationAttempt.LostBeforeHead) = result {
            if lost.wasKept, let client, mayRepeat() {
                model.logger.debug("kept connection was closed, sending the request again")
                return send(over: client)
            }
            result = .failure(model.describe(lost.cause))
        }
        if case .failure(let refusal as LLMError) = result, let client, concede(refusal.asksFor) {
            return send(over: client)
        }
        let (receiver, _) = state.withLock { state in
            state.attempt = nil
            return (state.receiver.take(), state.outgoing.take())
        }
        receiver?.end(result)
    }

    /// Changes the request as its refusal asks for. Each concession is made once.
    private func concede(_ asked: Concessions) -> Bool {
        guard !asked.isEmpty else { return false }
        return state.withLock { state in
            guard !state.isCancelled, let possible = state.outgoing?.concessions.intersection(asked), !possible.isEmpty else {
                return false
            }
            state.outgoing?.concede(possible)
            state.conceded.formUnion(possible)
            return true
        }
    }

    /// Returns whether the request is sent once more, after the loss of its connection.
    ///
    /// A server may close a kept connection in the moment in which it is used again. The request
    /// had no response then; the HTTP client leaves it to its user to send it again. A loss that
    /// comes later ends a generation that had begun. Another one costs again, so the user of the
    /// model decides on it.
    private func mayRepeat() -> Bool {
        guard NIODeadline.now() - begun < .seconds(1) else { return false }
        return state.withLock { state in
            defer { state.isRepeated = true }
            return !state.isRepeated && !state.isCancelled
        }
    }
}
