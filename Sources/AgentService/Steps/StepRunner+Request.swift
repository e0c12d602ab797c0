import LanguageModels
import Locks
import NIOCore
import SessionStore

/// The request to the model. It exists for a moment only: a stream may stay open for long, and a
/// history may be large.
extension StepRunner {
    /// The part of the step's lease that only the first request needs.
    struct Opening: Sendable {
        /// The whole history, or no message of it.
        var history: [ByteBuffer]
        var reasoning: [ByteBuffer]
        /// The client's own tools.
        var tools: ByteBuffer?
        /// Room for the history, where it was waited for before the step began.
        var share: ByteShare?
    }

    /// Makes the request once there is room for the history. The log renews the lease meanwhile, so
    /// the history does not change.
    ///
    /// - Parameter repair: The messages behind the history if the model is asked a second time. The
    ///   history is then read again.
    func request(adding repair: StepStateMachine.Said) async throws(StepStateMachine.Unasked) -> LLMRequest {
        let opening = opening.withLock { $0.take() }
        guard let share = await share(opening) else { throw .crowded }
        var started = started
        started.history = opening?.history ?? []
        started.reasoning = opening?.reasoning ?? []
        var calls = UsedCallIDs()
        var messages: [ByteBuffer] = []
        var reasoning: [ByteBuffer] = []
        var bytes = 0
        do throws(StoreError) {
            try await service.store.readHistory(of: started) { page throws(StoreError) in
                for message in page {
                    calls.add(message)
                    bytes += message.readableBytes
                }
                messages.add(page, of: started.historyLength)
                try hold(bytes, of: share)
            }
            try await service.store.readReasoning(of: started) { page throws(StoreError) in
                calls.add(reasoning: page)
                bytes += page.reduce(0) { $0 + $1.readableBytes }
                reasoning.add(page, of: started.reasoningCount)
                try hold(bytes, of: share)
            }
            // Where the history came with the lease, the script has noted that the model is asked.
            if let opening, opening.history.count < started.historyLength { await service.store.noteAsking(lease) }
            if !repair.messages.isEmpty {
                let repaired = repair.stored(by: model.author).map { $0.element(firstMessage: messages.count) }
                calls.add(repair.messages)
                calls.add(reasoning: repaired)
                messages += repair.messages
                reasoning += repaired
            }
            generating.withLock { $0.usedCalls = calls }
            var request = LLMRequest(
                model: model.upstreamName, provider: model.provider, messages: messages, tools: try await offeredTools(opening),
                traceparent: traceparent)
            request.reasoning = reasoning
            request.share = share
            return request
        } catch {
            throw .store(error)
        }
    }

    /// The model that this step asks.
    var model: ModelCatalog.Model { service.models.model(named: started.settings.model) }

    /// Counts the bytes that this replica holds for this step, if they are more than expected.
    private func hold(_ bytes: Int, of share: ByteShare) throws(StoreError) {
        guard stopSignal.reason == nil else { throw StoreError(.cancelled, "the step was stopped") }
        // The size in the session's state is wrong if a person has edited the history.
        if HistoryBudgets.held(bytes) > share.bytes { share.resize(to: HistoryBudgets.held(bytes)) }
    }

    /// Waits for room for the history; nil if there is none in time, since another replica may have
    /// some.
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

    /// Returns the tools that the model is offered. A client's empty array means none: models'
    /// servers refuse an empty array.
    private func offeredTools(_ opening: Opening?) async throws(StoreError) -> ByteBuffer? {
        guard hasOwnTools else { return service.configuration.tools.json }
        let own = if let opening { opening.tools } else { try await service.store.tools(of: lease) }
        guard let own, own.readableBytes > 2 else { return nil }
        return own
    }
}

extension StartedStep {
    /// The same step without the fields that only the request needs, and without the memory of
    /// Redis's reply.
    var withoutRequest: StartedStep {
        var step = self
        step.history = []
        step.reasoning = []
        step.settings.tools = nil
        step.settings.metadata = settings.metadata.map { ByteBuffer(bytes: $0.readableBytesView) }
        return step
    }
}

extension [ByteBuffer] {
    /// Appends a page of a list. Most lists come in one page, whose array is then used as it is.
    ///
    /// - Parameter length: The elements of all pages.
    fileprivate mutating func add(_ page: [ByteBuffer], of length: Int) {
        if isEmpty, page.count >= length {
            self = page
        } else {
            if isEmpty { reserveCapacity(length) }
            append(contentsOf: page)
        }
    }
}
