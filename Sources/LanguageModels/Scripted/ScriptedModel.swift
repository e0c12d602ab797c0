import NIOCore

/// The model that is built in: it writes at once and costs nothing, so that everything can be tried
/// without a key.
///
/// It reads the last user message line by line:
///
/// | line | what it does |
/// | --- | --- |
/// | `read_file PATH` | calls the tool `read_file` with `{"path":PATH}` |
/// | `echo TEXT` | calls the tool `echo` with `{"text":TEXT}` |
/// | `slow N` | says N words, at most 10 000, one by one |
/// | anything else | is acknowledged in one sentence |
///
/// Several lines with tools make parallel calls. It calls only tools that the request offers; it
/// says that it does not have the others. When the results have come, it quotes the beginning of
/// each. Text is streamed word by word, arguments in pieces, as other models do. `usage` counts
/// words.
public struct ScriptedModel: LanguageModel {
    /// The bound on `slow N`.
    public static let maxSlowWords = 10_000
    /// Characters of a message or a result that are quoted.
    public static let maxExcerpt = 400

    /// The pause before each text delta and each piece of a call. None if zero.
    public var tokenDelay: Duration

    /// - Parameter tokenDelay: The pause between two pieces of text.
    public init(tokenDelay: Duration = .milliseconds(15)) {
        self.tokenDelay = tokenDelay
    }

    public func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration {
        // Read at once: a task would keep the request until it has ended.
        let read = Result { () throws(LLMError) in
            let conversation = try ScriptedConversation(messages: request.messages, tools: request.tools)
            return (completion: ScriptedOutput(of: conversation), wordCount: conversation.wordCount)
        }
        return TaskGeneration(for: receiver) { sink in
            let (completion, wordCount) = try read.get()
            try await say(completion, wordCount: wordCount, sink)
        }
    }

    private func say(_ completion: ScriptedOutput, wordCount: Int, _ sink: TaskGeneration.Sink) async throws {
        var words = 0
        for word in completion.words {
            try await pause()
            try sink([.textDelta(word)])
            words += 1
        }
        for (index, call) in completion.calls.enumerated() {
            try await pause()
            try sink([.toolCall(index: index, id: Self.makeCallID(), name: call.name, arguments: "")])
            for piece in Self.pieces(of: call.arguments) {
                try await pause()
                try sink([.toolCall(index: index, id: nil, name: nil, arguments: piece)])
                words += 1
            }
        }
        try sink([
            .usage(TokenUsage(promptTokens: wordCount, completionTokens: words)),
            .finish(completion.calls.isEmpty ? .stop : .toolCalls),
        ])
    }

    private func pause() async throws {
        if tokenDelay > .zero { try await Task.sleep(for: tokenDelay) }
    }

    /// Returns an id that is unique within a session, also when a step is run again.
    private static func makeCallID() -> String {
        "call_" + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    private static func pieces(of text: String) -> [String] {
        var pieces: [String] = []
        var rest = text[...]
        while !rest.isEmpty {
            pieces.append(String(rest.prefix(12)))
            rest = rest.dropFirst(12)
        }
        return pieces
    }
}
