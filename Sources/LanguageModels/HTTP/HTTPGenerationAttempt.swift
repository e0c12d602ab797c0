import AsyncHTTPClient
import Locks
import NIOCore
import NIOHTTP1

/// One exchange with the model's server: decodes the response on its event loop, passes the events
/// on, and keeps the clocks.
final class HTTPGenerationAttempt: HTTPClientResponseDelegate, BodyReceiver {
    typealias Response = Void

    /// The connection was closed before the first byte of a response.
    struct LostBeforeHead: Error {
        var cause: any Error
        /// Whether earlier responses had come over it.
        var wasKept: Bool
    }

    private struct State {
        var decoder: any ResponseDecoder
        var clock: ResponseClock
        var task: HTTPClient.Task<Void>?
        /// Gets the end, and is nil after it.
        var generation: HTTPGeneration?
        /// What the head says for the case of a failure; nil before it.
        var notes: ResponseNotes?
        var timer: Scheduled<Void>?
    }

    private let model: HTTPLanguageModel
    private let client: PerEventLoopHTTPClient
    private let state: Guarded<State>

    init(of generation: HTTPGeneration, model: HTTPLanguageModel, client: PerEventLoopHTTPClient) {
        self.model = model
        self.client = client
        state = Guarded(
            State(
                decoder: model.format.makeDecoder(limits: model.configuration.limits),
                clock: ResponseClock(model.configuration, started: .now()),
                generation: generation))
    }

    /// Sends the request and starts the clocks.
    func start(_ request: HTTPClient.Request) {
        let task = client.http.execute(request: request, delegate: self)
        setTimer(at: state.withLock { $0.clock.firstCheck })
        task.futureResult.whenComplete { result in
            if case .failure(let error) = result { self.fail(error) }
            self.state.withLock { $0.timer.take() }?.cancel()
        }
        let isOver = state.withLock { state in
            state.task = task
            return state.generation == nil
        }
        // Cancelled in the meantime.
        if isOver { task.cancel() }
    }

    /// Ends the exchange and closes the connection, unless it is over. In the loop's next turn, so
    /// that no call reports the end within another call that reports something else.
    func cancel() {
        client.eventLoop.execute { self.end(.failure(CancellationError())) }
    }

    // MARK: What the HTTP client reports

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        receive { state, _ throws(LLMError) in
            state.notes = ResponseNotes(head.headers)
            try state.decoder.receiveHead(status: Int(head.status.code), contentType: head.headers.first(name: "content-type"))
            return .more
        }
        // The body of a response that has failed with its head has no receiver.
        if let generation = state.withLock({ $0.generation }) {
            generation.responseHasBegun(status: Int(head.status.code))
            client.passBody(to: self)
        }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    /// Takes what was read together with the body's end. All the rest comes by ``receiveBody(_:)``
    /// directly.
    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        receiveBody(buffer)
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func receiveBody(_ bytes: ByteBuffer) {
        receive { state, events throws(LLMError) in try state.decoder.receiveBody(bytes, into: &events) }
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) {
        receive { state, events throws(LLMError) in
            try state.decoder.receiveEnd(into: &events)
            return .finished
        }
    }

    /// Runs one step of the decoder and does what follows from it.
    private func receive(_ step: (_ state: inout State, _ events: inout [LLMEvent]) throws(LLMError) -> ResponseProgress) {
        var events: [LLMEvent] = []
        var progress = ResponseProgress.more
        var failure: LLMError?
        var deadline: NIODeadline?
        let generation = state.withLock { state -> HTTPGeneration? in
            guard let generation = state.generation else { return nil }
            do throws(LLMError) {
                progress = try step(&state, &events)
                deadline = state.clock.note(progress, at: .now())
            } catch {
                failure = error
            }
            return generation
        }
        // What comes after the end has no receiver; the connection has a moment to end on its own.
        guard let generation else { return }
        if !events.isEmpty {
            do { try generation.receive(events) } catch { return end(.failure(error)) }
        }
        if let failure { return end(.failure(model.describe(failure))) }
        if progress == .finished { end(.success(())) }
        // The exchange waits a moment for the rest, so that the connection can be used again.
        if let deadline { setTimer(at: deadline) }
    }

    /// Ends the exchange as failed, unless what came suffices.
    private func fail(_ error: any Error) {
        var events: [LLMEvent] = []
        let (generation, isComplete, hasHead) = state.withLock { state in
            (state.generation, state.generation != nil && state.decoder.receiveLoss(into: &events), state.notes != nil)
        }
        guard let generation else { return }
        if isComplete {
            do { try generation.receive(events) } catch { return end(.failure(error)) }
            end(.success(()))
        } else if !hasHead, HTTPLanguageModel.isConnectionLoss(error) {
            end(.failure(LostBeforeHead(cause: error, wasKept: client.eventLoop.inEventLoop && client.isConnectionKept)))
        } else {
            end(.failure(model.describe(error)))
        }
    }

    /// Reports the end, once. A response that has failed is not read on.
    private func end(_ result: Result<Void, any Error>) {
        let (generation, task, notes) = state.withLock { ($0.generation.take(), $0.task, $0.notes) }
        guard let generation else { return }
        var result = result
        if case .failure(let error) = result {
            task?.cancel()
            if let error = error as? LLMError, let notes { result = .failure(error.with(notes)) }
        }
        generation.end(result)
    }

    // MARK: Clocks

    /// Replaces the timer by one that fires at `deadline`.
    private func setTimer(at deadline: NIODeadline) {
        let timer = client.eventLoop.scheduleTask(deadline: deadline) { self.checkClock() }
        state.withLock { state in
            let old = state.timer
            state.timer = timer
            return old
        }?.cancel()
    }

    /// Checks whether the time has come: the timer does not move with each part of the body.
    private func checkClock() {
        let verdict = state.withLock { $0.generation == nil ? nil : $0.clock.verdict(at: .now()) }
        switch verdict {
        case .wait(let deadline): return setTimer(at: deadline)
        case .silent: fail(LLMError(.timeout, "The model was silent for \(model.configuration.idleTimeout.milliseconds) ms."))
        case .tooLong: fail(LLMError(.timeout, "The model took longer than \(model.configuration.totalTimeout.milliseconds) ms."))
        case nil: break
        }
        // A completion may be whole without the response's end.
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
