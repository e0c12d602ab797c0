import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Synchronization

/// One response on its way from the event loop, which decodes it, to the task that consumes it.
///
/// Events gather while the consumer is busy, so that it gets everything that is ready at once; beyond a bound no more is read
/// from the connection. Time limits are kept here, not by the HTTP client, whose read timeout would also strike while it is
/// the consumer that is slow.
final class OpenAIResponse: HTTPClientResponseDelegate {
    typealias Response = Void

    /// The connection was closed before the first byte of an answer.
    struct LostBeforeHead: Error {
        var cause: any Error
    }

    private struct State {
        var answer: OpenAIAnswer
        var task: HTTPClient.Task<Void>?
        var hasHead = false
        var events: [LLMEvent] = []
        /// Bytes of the body whose events have not been taken.
        var undelivered = 0
        /// Set while too much is undelivered.
        var resume: EventLoopPromise<Void>?
        var outcome: Result<Void, any Error>?
        var waiter: CheckedContinuation<Void, Never>?
        var started = NIODeadline.now()
        var lastActivity = NIODeadline.now()
        var timer: Scheduled<Void>?
    }

    private let configuration: OpenAIProvider.Configuration
    private let state: Mutex<State>

    init(configuration: OpenAIProvider.Configuration) {
        self.configuration = configuration
        state = Mutex(
            State(
                answer: OpenAIAnswer(
                    expectsStream: configuration.stream,
                    maxBytes: configuration.maxResponseBytes,
                    maxErrorBytes: configuration.maxErrorBodyBytes
                )))
    }

    // MARK: The consumer's side

    /// Sends the request and starts the clocks.
    func start(_ request: HTTPClient.Request, with client: HTTPClient) {
        guard state.withLock({ $0.outcome == nil }) else { return }
        let task = client.execute(request: request, delegate: self)
        armTimer(on: task.eventLoop, at: .now() + min(configuration.idleTimeout, configuration.totalTimeout))
        task.futureResult.whenComplete { result in
            if case .failure(let error) = result { self.fail(error) }
            self.stopTimer()
        }
        let isOver = state.withLock { state in
            state.task = task
            return state.outcome != nil
        }
        // Cancelled in the meantime.
        if isOver { task.cancel() }
    }

    /// Everything that is ready, waiting until something is; nil at the end. For one consumer.
    func next() async throws -> [LLMEvent]? {
        while true {
            if let batch = try take() { return batch.isEmpty ? nil : batch }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.events.isEmpty || state.outcome != nil { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    /// Ends the exchange and closes the connection, unless it is over.
    func cancel(_ error: any Error) {
        fail(error)
        state.withLock { $0.task }?.cancel()
    }

    /// Nil if nothing is ready, an empty batch at the end.
    private func take() throws -> [LLMEvent]? {
        let (batch, outcome, resume) = state.withLock { state in
            // After a cancellation nothing is handed on.
            if case .failure(let error) = state.outcome, error is CancellationError { state.events = [] }
            // What was not read for the consumer's sake was not the model's silence.
            if state.resume != nil { state.lastActivity = .now() }
            defer {
                state.events = []
                state.undelivered = 0
                state.resume = nil
            }
            return (state.events, state.outcome, state.resume)
        }
        resume?.succeed(())
        if !batch.isEmpty { return batch }
        try outcome?.get()
        return outcome == nil ? nil : []
    }

    // MARK: The event loop's side

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        receive(task, bytes: 0) { state throws(LLMError) in
            state.hasHead = true
            try state.answer.receiveHead(status: Int(head.status.code), contentType: head.headers.first(name: "content-type"))
            return .more
        }
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        receive(task, bytes: buffer.readableBytes) { state throws(LLMError) in
            try state.answer.receiveBody(buffer, into: &state.events)
        }
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) {
        _ = receive(task, bytes: 0) { state throws(LLMError) in
            try state.answer.receiveEnd(into: &state.events)
            return .finished
        }
    }

    /// Runs one step of the answer and does what follows from it.
    private func receive(
        _ task: HTTPClient.Task<Void>,
        bytes: Int,
        _ step: (inout State) throws(LLMError) -> OpenAIAnswer.Progress
    ) -> EventLoopFuture<Void> {
        var error: LLMError?
        var progress = OpenAIAnswer.Progress.more
        var pause: EventLoopFuture<Void>?
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            if state.outcome != nil {
                progress = .finished
                return nil
            }
            state.lastActivity = .now()
            do throws(LLMError) {
                progress = try step(&state)
                if progress == .finished { state.outcome = .success(()) }
            } catch let failure {
                error = failure
                state.outcome = .failure(failure)
            }
            state.undelivered += state.events.isEmpty ? 0 : bytes
            if state.outcome == nil, state.undelivered > configuration.maxUndeliveredBytes {
                let promise = task.eventLoop.makePromise(of: Void.self)
                state.resume = promise
                pause = promise.futureResult
            }
            return state.events.isEmpty && state.outcome == nil ? nil : state.waiter.take()
        }
        waiter?.resume()
        if error != nil {
            task.cancel()
        } else if progress != .more {
            // The rest is awaited for a moment, so that the connection can be used again.
            armTimer(on: task.eventLoop, at: .now() + configuration.trailerTimeout)
        }
        return pause ?? task.eventLoop.makeSucceededVoidFuture()
    }

    private func fail(_ error: any Error) {
        let (waiter, resume) = state.withLock { state in
            defer { state.resume = nil }
            guard state.outcome == nil else { return (state.waiter.take(), state.resume) }
            if !(error is CancellationError), state.answer.receiveLoss(into: &state.events) {
                state.outcome = .success(())
            } else if !state.hasHead, OpenAIProvider.isConnectionLoss(error) {
                state.outcome = .failure(LostBeforeHead(cause: error))
            } else {
                state.outcome = .failure(error)
            }
            return (state.waiter.take(), state.resume)
        }
        resume?.succeed(())
        waiter?.resume()
    }

    // MARK: Clocks

    /// Replaces the timer by one that strikes at `deadline`.
    private func armTimer(on eventLoop: any EventLoop, at deadline: NIODeadline) {
        let timer = eventLoop.scheduleTask(deadline: deadline) { self.checkClocks(on: eventLoop) }
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
    private func checkClocks(on eventLoop: any EventLoop) {
        let now = NIODeadline.now()
        enum Verdict { case wait(until: NIODeadline), silent, tooLong, over }
        let verdict: Verdict = state.withLock { state in
            if state.outcome != nil { return .over }
            let total = state.started + configuration.totalTimeout
            if now >= total { return .tooLong }
            // A consumer that is slow is not a model that is silent.
            if state.resume != nil { return .wait(until: min(total, now + configuration.idleTimeout)) }
            let limit =
                state.answer.awaitsTrailers ? min(configuration.trailerTimeout, configuration.idleTimeout) : configuration.idleTimeout
            let idle = state.lastActivity + limit
            return now >= idle ? .silent : .wait(until: min(total, idle))
        }
        switch verdict {
        case .wait(let deadline): armTimer(on: eventLoop, at: deadline)
        case .silent: cancel(LLMError(.timeout, "The model was silent for \(configuration.idleTimeout.milliseconds) ms."))
        case .tooLong: cancel(LLMError(.timeout, "The model took longer than \(configuration.totalTimeout.milliseconds) ms."))
        case .over: state.withLock { $0.task }?.cancel()
        }
    }
}

extension TimeAmount {
    fileprivate var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
