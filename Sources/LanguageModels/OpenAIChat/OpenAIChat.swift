public import NIOHTTP1

/// OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat), in the forms
/// that compatible servers give them.
public struct OpenAIChat: WireFormat {
    /// Whether responses are streamed. False asks for whole ones. Either way the server may answer
    /// in the other form.
    public var stream = true
    /// How requests differ from OpenAI's own.
    public var form = RequestForm()
    /// Whether clients are shown the model's reasoning as it comes.
    public var showsReasoning = false

    /// Makes the format in OpenAI's own form.
    public init() {}

    public func url(base baseURL: String) -> String { EndpointURL.chatCompletions(of: baseURL) }

    public func headers(apiKey: String?) -> HTTPHeaders {
        var headers = HTTPHeaders([("Accept", stream ? "text/event-stream" : "application/json")])
        if let apiKey { headers.add(name: "Authorization", value: "Bearer \(apiKey)") }
        return headers
    }

    public func encode(_ request: LLMRequest, conceding concessions: Concessions) -> EncodedRequest {
        ChatCompletionRequest.encode(request, stream: stream, form: form, conceding: concessions.union(form.concessions))
    }

    public func makeDecoder(limits: ResponseLimits) -> ChatCompletionDecoder {
        ChatCompletionDecoder(expectsStream: stream, showsReasoning: showsReasoning, limits: limits)
    }

    public func notices(of concessions: Concessions) -> [String] {
        var notices: [String] = []
        if concessions.contains(.streamOptions) {
            notices.append("the model's server refuses stream_options: requests go without from now on, and usage may be missing")
        }
        if concessions.contains(.strictTurns) {
            notices.append(
                "the model's server wants user and assistant by turns: results that nothing followed get an answer from now on")
        }
        return notices
    }
}
