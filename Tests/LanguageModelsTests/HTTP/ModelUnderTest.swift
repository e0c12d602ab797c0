import Locks
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import LanguageModels

/// The settings of a model's server and its format in one test.
@dynamicMemberLookup struct ModelSetup {
    var upstream: UpstreamConfiguration
    var format = OpenAIChat()

    subscript<Value>(dynamicMember member: WritableKeyPath<UpstreamConfiguration, Value>) -> Value {
        get { upstream[keyPath: member] }
        set { upstream[keyPath: member] = newValue }
    }

    subscript<Value>(dynamicMember member: WritableKeyPath<OpenAIChat, Value>) -> Value {
        get { format[keyPath: member] }
        set { format[keyPath: member] = newValue }
    }
}

/// Runs `body` with an ``HTTPLanguageModel`` in the test's configuration, and shuts the model down
/// afterwards.
func withModel<Value>(
    _ url: String, _ change: (inout ModelSetup) -> Void = { _ in }, _ body: (HTTPLanguageModel) async throws -> Value
) async throws -> Value {
    var setup = ModelSetup(upstream: UpstreamConfiguration(baseURL: url))
    change(&setup)
    return try await withModel(setup.format, setup.upstream, body)
}

/// Runs `body` with a model of any format.
func withModel<Value>(
    _ format: any WireFormat, _ configuration: UpstreamConfiguration, _ body: (HTTPLanguageModel) async throws -> Value
) async throws -> Value {
    let model = try HTTPLanguageModel(
        format: format, configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
    do {
        let value = try await body(model)
        try await model.shutdown()
        return value
    } catch {
        try await model.shutdown()
        throw error
    }
}

extension EncodedRequest {
    func conceding(_ concessions: Concessions) -> EncodedRequest {
        var request = self
        request.concede(concessions)
        return request
    }
}

extension LLMRequest {
    static let hello = LLMRequest(model: "test", messages: [ByteBuffer(string: #"{"role":"user","content":"hello"}"#)])
}

/// Collects a model's events for a task that reads them. Records an issue if an event arrives after
/// the end.
final class CollectingReceiver: LLMReceiver {
    private struct State {
        var batches: [[LLMEvent]] = []
        var result: Result<Void, any Error>?
        var reader: CheckedContinuation<Void, Never>?
        var isInside = false
    }

    private let state = Guarded(State())
    /// The error to throw at every batch; nil to accept all batches.
    private let refusal: (any Error)?

    init(refusing refusal: (any Error)? = nil) {
        self.refusal = refusal
    }

    func receive(_ batch: [LLMEvent]) throws {
        #expect(!batch.isEmpty)
        enter { $0.batches.append(batch) }
        if let refusal { throw refusal }
    }

    func end(_ result: Result<Void, any Error>) {
        enter { $0.result = result }
    }

    private func enter(_ body: (inout State) -> Void) {
        let wasInside = state.withLock { state in
            defer { state.isInside = true }
            return state.isInside
        }
        #expect(!wasInside, "two calls at a time")
        let reader = state.withLock { state in
            #expect(state.result == nil, "an event after the end")
            body(&state)
            state.isInside = false
            return state.reader.take()
        }
        reader?.resume()
    }

    /// Returns the next batch; nil at the end. If the task is cancelled, it still waits for the
    /// end.
    func next() async throws -> [LLMEvent]? {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if !state.batches.isEmpty || state.result != nil { return true }
                state.reader = continuation
                return false
            }
            if isThere { continuation.resume() }
        }
        return try state.withLock { state in
            if !state.batches.isEmpty { return state.batches.removeFirst() }
            try state.result?.get()
            return nil
        }
    }
}

extension LanguageModel {
    /// Runs a generation for a task. If the task is cancelled, the generation is cancelled, too.
    func generate(_ request: LLMRequest, refusing refusal: (any Error)? = nil, sink: ([LLMEvent]) async throws -> Void) async throws {
        try Task.checkCancellation()
        let receiver = CollectingReceiver(refusing: refusal)
        let generation = generate(request, receiver: receiver)
        try await withTaskCancellationHandler {
            while let batch = try await receiver.next() { try await sink(batch) }
        } onCancel: {
            generation.cancel()
        }
    }

    /// Returns all events of a generation, and its end.
    func collect(_ request: LLMRequest = .hello) async throws -> Decoded {
        var decoded = Decoded()
        do {
            try await generate(request) { batch in
                if batch.isEmpty { decoded.message = "an empty batch" }
                decoded.events += batch
            }
        } catch let error as LLMError {
            decoded.error = error.code
            decoded.message = error.message
        }
        return decoded
    }
}
