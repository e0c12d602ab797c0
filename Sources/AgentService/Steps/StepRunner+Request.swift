import NIOCore
import SessionStore
import Synchronization

/// What the model is asked. It is there for a moment only: a stream may be open for long, and a history may be large.
extension StepRunner {
    /// What came with the step's lease, until the model is asked.
    struct Opening: Sendable {
        /// The whole history, or nothing of it.
        var history: [ByteBuffer]
        var reasoning: [ByteBuffer]
        /// The client's own tools.
        var tools: ByteBuffer?
        /// Room for the history, where it was waited for before the step began.
        var share: ByteShare?
    }

    /// Why the model was not asked.
    enum Unasked: Error {
        /// Others' histories have taken all the room.
        case crowded
        case store(StoreError)
    }

    /// Makes the request, once there is room for the history. The log renews the lease meanwhile, which keeps the history still.
    ///
    /// - Parameter repair: What follows the history where the model is asked once more. The history is read again then.
    func request(adding repair: StepStateMachine.Said) async throws(Unasked) -> LLMRequest {
        let opening = opening.withLock { $0.take() }
        guard let share = await share(opening) else { throw .crowded }
        var started = started
        started.history = opening?.history ?? []
        started.reasoning = opening?.reasoning ?? []
        var calls = UsedCallIDs()
        var messages: [ByteBuffer] = []
        messages.reserveCapacity(started.historyLength + repair.messages.count)
        var reasoning: [ByteBuffer] = []
        var bytes = 0
        do throws(StoreError) {
            try await service.store.readHistory(of: started) { page throws(StoreError) in
                calls.add(page)
                messages += page
                try count(page, into: &bytes, of: share)
            }
            try await service.store.readReasoning(of: started) { page throws(StoreError) in
                calls.add(reasoning: page)
                reasoning += page
                try count(page, into: &bytes, of: share)
            }
            // Where the history came with the lease, the script has noted that the model is asked.
            if let opening, opening.history.count < started.historyLength { await service.store.noteAsking(lease) }
            calls.add(repair.messages)
            let repaired = repair.stored(by: author).map { $0.element(firstMessage: messages.count) }
            calls.add(reasoning: repaired)
            generating.withLock { $0.usedCalls = calls }
            var request = LLMRequest(
                model: model, messages: messages + repair.messages, tools: try await offeredTools(opening),
                traceparent: traceparent)
            request.reasoning = reasoning + repaired
            request.share = share
            return request
        } catch {
            throw .store(error)
        }
    }

    /// The model that this step asks.
    private var model: String { started.settings.model ?? service.configuration.model }

    /// Who it is that says what is stored as this model's reasoning.
    var author: String { LLMRequest.author(model: model) }

    /// Counts a page among what this replica holds.
    private func count(_ page: [ByteBuffer], into bytes: inout Int, of share: ByteShare) throws(StoreError) {
        guard stopSignal.reason == nil else { throw StoreError(.cancelled, "the step was stopped") }
        bytes += page.reduce(0) { $0 + $1.readableBytes }
        // What the state says of its size may be wrong, where somebody has edited the session.
        if HistoryBudgets.held(bytes) > share.bytes { share.resize(to: HistoryBudgets.held(bytes)) }
    }

    /// Room for the history. A step that gets none in time is better off elsewhere.
    private func share(_ opening: Opening?) async -> ByteShare? {
        let bytes = HistoryBudgets.held(started.historyBytes)
        if let share = opening?.share {
            share.resize(to: bytes)
            return share
        }
        let patience = max(service.configuration.wait, service.store.configuration.lease)
        return await service.histories.turns(bytes: started.historyBytes).take(bytes, until: .now.advanced(by: patience)) { stop in
            stopSignal.whenStopped(stop)
        }
    }

    /// An empty array of the client's means no tools; upstreams refuse an empty array.
    private func offeredTools(_ opening: Opening?) async throws(StoreError) -> ByteBuffer? {
        guard hasOwnTools else { return service.configuration.tools.json }
        let own = if let opening { opening.tools } else { try await service.store.tools(lease.session) }
        guard let own, own.readableBytes > 2 else { return nil }
        return own
    }
}

extension StartedStep {
    /// The same without what only the request to the model needs, and without the memory of the reply that brought it.
    var withoutRequest: StartedStep {
        var step = self
        step.history = []
        step.reasoning = []
        step.settings.tools = nil
        step.settings.metadata = settings.metadata.map { ByteBuffer(bytes: $0.readableBytesView) }
        return step
    }
}
