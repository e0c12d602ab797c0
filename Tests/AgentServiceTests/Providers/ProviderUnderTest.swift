import NIOCore
import NIOPosix
import TestSupport

@testable import AgentService

/// An ``OpenAIProvider`` with what a test wants of its configuration; shut down after the test's body.
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

extension LLMProvider {
    /// Everything that a generation said, and how it ended.
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
