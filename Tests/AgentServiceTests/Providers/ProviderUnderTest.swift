import Locks
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import AgentService

/// An ``OpenAIProvider`` with a test's configuration. It is shut down after the test's body.
func withProvider<Value>(
    _ url: String, _ change: (inout OpenAIProvider.Configuration) -> Void = { _ in },
    _ body: (OpenAIProvider) async throws -> Value
) async throws -> Value {
    var configuration = OpenAIProvider.Configuration(baseURL: url)
    change(&configuration)
    let provider = try OpenAIProvider(
        configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
    do {
        let value = try await body(provider)
        try await provider.shutdown()
        return value
    } catch {
        try await provider.shutdown()
        throw error
    }
}

extension LLMRequest {
    static let hello = LLMRequest(model: "test", messages: [ByteBuffer(string: #"{"role":"user","content":"hello"}"#)])
}

/// Keeps a provider's events for a task that asks for them. Records an issue for events that must
/// not come.
final class Told: LLMReceiver {
    private struct State {
        var batches: [[LLMEvent]] = []
        var result: Result<Void, any Error>?
        var reader: CheckedContinuation<Void, Never>?
        var isInside = false
    }

    private let state = Guarded(State())
    /// The error to throw at every batch.
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
            #expect(state.result == nil, "told something after the end")
            body(&state)
            state.isInside = false
            return state.reader.take()
        }
        reader?.resume()
    }

    /// Returns the next batch; nil at the end. A cancelled task still waits for the end.
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

extension LLMProvider {
    /// Runs a generation for a task, and cancels it with the task.
    func generate(_ request: LLMRequest, refusing refusal: (any Error)? = nil, sink: ([LLMEvent]) async throws -> Void) async throws {
        try Task.checkCancellation()
        let told = Told(refusing: refusal)
        let generation = generate(request, receiver: told)
        try await withTaskCancellationHandler {
            while let batch = try await told.next() { try await sink(batch) }
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
