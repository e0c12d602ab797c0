import AsyncHTTPClient
import Locks
import NIOCore
import NIOHTTP1

/// One response: decodes it on its event loop and hands on what it says.
///
/// Time limits are kept here: the HTTP client has none for a whole answer, and none that changes once the model has finished.
final class HTTPGenerationAttempt: HTTPClientResponseDelegate, BodyReceiver {
    typealias Response = Void

    /// The connection was closed before the first byte of an answer.
    struct LostBeforeHead: Error {
        var cause: any Error
        /// Earlier answers had come over it.
        var wasKept: Bool
    }

    private struct State {
        var answer: ChatCompletionDecoder
        var task: HTTPClient.Task<Void>?
        /// Told of the end, and nil after it.
        var generation: HTTPGeneration?
        /// What the head says for the case of a failure; nil before it.
        var notes: ResponseNotes?
        var started = NIODeadline.now()
        var lastActivity = NIODeadline.now()
        /// The model has finished: when the rest must be there.
        var restDeadline: NIODeadline?
        var timer: Scheduled<Void>?
    }

    private let provider: OpenAIProvider
    private let client: PerEventLoopHTTPClient
    private let state: Guarded<State>

    private var configuration: OpenAIProvider.Configuration { provider.configuration }

    init(of generation: HTTPGeneration, provider: OpenAIProvider, client: PerEventLoopHTTPClient) {
        self.provider = provider
        self.client = client
        let configuration = provider.configuration
        state = Guarded(
            State(
                answer: ChatCompletionDecoder(
                    expectsStream: configuration.stream,
                    showsReasoning: configuration.showsReasoning,
                    maxBytes: configuration.maxResponseBytes,
                    maxErrorBytes: configuration.maxErrorBodyBytes
                ),
                generation: generation))
    }

    /// Sends the request and starts the clocks.
    func start(_ request: HTTPClient.Request) {
        let task = client.http.execute(request: request, delegate: self)
        armTimer(at: .now() + min(configuration.idleTimeout, configuration.totalTimeout))
        task.futureResult.whenComplete { result in
            if case .failure(let error) = result { self.fail(error) }
            self.stopTimer()
        }
        let isOver = state.withLock { state in
            state.task = task
            return state.generation == nil
        }
        // Cancelled in the meantime.
        if isOver { task.cancel() }
    }

    /// Ends the exchange and closes the connection, unless it is over. In the loop's next turn, so that nothing is told of it within a call that tells of
    /// something else.
    func cancel() {
        client.eventLoop.execute { self.end(.failure(CancellationError())) }
    }

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        receive { state, _ throws(LLMError) in
            state.notes = ResponseNotes(head.headers)
            try state.answer.receiveHead(status: Int(head.status.code), contentType: head.headers.first(name: "content-type"))
            return .more
        }
        // Nobody waits for the body of an answer that has failed with its head.
        if let generation = state.withLock({ $0.generation }) {
            generation.answerHasBegun(status: Int(head.status.code))
            client.passBody(to: self)
        }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    /// What was read together with the body's end. All the rest comes by ``receiveBody(_:)`` directly.
    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        receiveBody(buffer)
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func receiveBody(_ bytes: ByteBuffer) {
        receive { state, events throws(LLMError) in try state.answer.receiveBody(bytes, into: &events) }
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) {
        receive { state, events throws(LLMError) in
            try state.answer.receiveEnd(into: &events)
            return .finished
        }
    }

    /// Runs one step of the answer and does what follows from it.
    private func receive(_ step: (_ state: inout State, _ events: inout [LLMEvent]) throws(LLMError) -> ChatCompletionDecoder.Progress) {
        var events: [LLMEvent] = []
        var progress = ChatCompletionDecoder.Progress.more
        var failure: LLMError?
        var deadline: NIODeadline?
        let generation = state.withLock { state -> HTTPGeneration? in
            guard let generation = state.generation else { return nil }
            state.lastActivity = .now()
            do throws(LLMError) {
                progress = try step(&state, &events)
                // Once at the finish and once at the end: a rest that trickles in takes no longer for it.
                if progress == .finished || progress == .trailers && state.restDeadline == nil {
                    deadline = .now() + min(configuration.trailerTimeout, configuration.idleTimeout)
                    state.restDeadline = deadline
                }
                // More has come behind a reason to stop: the model still writes. The timer that was set looks at the clocks anew.
                if progress == .more { state.restDeadline = nil }
            } catch {
                failure = error
            }
            return generation
        }
        // What comes after the end is of no interest; the connection has a moment to end by itself.
        guard let generation else { return }
        if !events.isEmpty {
            do { try generation.receive(events) } catch { return end(.failure(error)) }
        }
        if let failure { return end(.failure(provider.describe(failure))) }
        if progress == .finished { end(.success(())) }
        // The rest is awaited for a moment, so that the connection can be used again.
        if let deadline { armTimer(at: deadline) }
    }

    /// The exchange has failed, unless what came suffices.
    private func fail(_ error: any Error) {
        var events: [LLMEvent] = []
        let (generation, isComplete, hasHead) = state.withLock { state in
            (state.generation, state.generation != nil && state.answer.receiveLoss(into: &events), state.notes != nil)
        }
        guard let generation else { return }
        if isComplete {
            do { try generation.receive(events) } catch { return end(.failure(error)) }
            end(.success(()))
        } else if !hasHead, OpenAIProvider.isConnectionLoss(error) {
            end(.failure(LostBeforeHead(cause: error, wasKept: client.eventLoop.inEventLoop && client.isConnectionKept)))
        } else {
            end(.failure(provider.describe(error)))
        }
    }

    /// Tells of the end, once. What has failed is not read on.
    private func end(_ result: Result<Void, any Error>) {
        let (generation, task, notes) = state.withLock { ($0.generation.take(), $0.task, $0.notes) }
        guard let generation else { return }
        var result = result
        if case .failure(let error) = result {
            task?.cancel()
            if let error = error as? LLMError, let notes { result = .failure(error.with(notes)) }
        }
        generation.ended(result)
    }

    // MARK: Clocks

    /// Replaces the timer by one that strikes at `deadline`.
    private func armTimer(at deadline: NIODeadline) {
        let timer = client.eventLoop.scheduleTask(deadline: deadline) { self.checkClocks() }
        state.withLock { state in
            let old = state.timer
            state.timer = timer
            return old
        }?.cancel()
    }

    private func stopTimer() {
        state.withLock { $0.timer.take() }?.cancel()
    }

    /// The timer is not moved at every part of the body: when it strikes, this tells whether the time has come.
    private func checkClocks() {
        let now = NIODeadline.now()
        enum Verdict { case wait(until: NIODeadline), silent, tooLong, over }
        let verdict: Verdict = state.withLock { state in
            if state.generation == nil { return .over }
            let total = state.started + configuration.totalTimeout
            if now >= total { return .tooLong }
            let idle = state.restDeadline ?? state.lastActivity + configuration.idleTimeout
            return now >= idle ? .silent : .wait(until: min(total, idle))
        }
        switch verdict {
        case .wait(let deadline):
            armTimer(at: deadline)
            return
        case .silent: fail(LLMError(.timeout, "The model was silent for \(configuration.idleTimeout.milliseconds) ms."))
        case .tooLong: fail(LLMError(.timeout, "The model took longer than \(configuration.totalTimeout.milliseconds) ms."))
        case .over: break
        }
        // An answer may be complete without its end.
        state.withLock { $0.task }?.cancel()
    }
}

extension TimeAmount {
    fileprivate var milliseconds: Int64 { nanoseconds / 1_000_000 }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    fileprivate var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
