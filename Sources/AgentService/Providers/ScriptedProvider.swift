import JSONText
import NIOCore
import SessionStore

/// The model that is built in: answers at once and costs nothing, so that everything can be tried without a key.
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
/// Several lines with tools make parallel calls. Only tools that the request offers are called; of others it says that it does
/// not have them. Once the results are there, it quotes the beginning of each. Text is streamed word by word, arguments in
/// pieces, as other models do. `usage` counts words.
public struct ScriptedProvider: LLMProvider {
    /// The bound on `slow N`.
    public static let maxSlowTokens = 10_000
    /// How much of a message or a result is quoted, in characters.
    public static let maxExcerpt = 400

    public var name: String { "scripted" }
    /// The pause before every token. None if zero.
    public var tokenDelay: Duration

    public init(tokenDelay: Duration = .milliseconds(15)) {
        self.tokenDelay = tokenDelay
    }

    public func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration {
        // Read at once: a task would keep the request until it has said everything.
        let read = Result { () throws(LLMError) in
            let conversation = try ScriptedConversation(messages: request.messages, tools: request.tools)
            return (answer: ScriptedAnswer(to: conversation), wordCount: conversation.wordCount)
        }
        return TaskGeneration(for: receiver) { sink in
            let (answer, wordCount) = try read.get()
            try await say(answer, wordCount: wordCount, sink)
        }
    }

    private func say(_ answer: ScriptedAnswer, wordCount: Int, _ sink: TaskGeneration.Sink) async throws {
        var words = 0
        for token in answer.tokens {
            try await pause()
            try sink([.textDelta(token)])
            words += 1
        }
        for (index, call) in answer.calls.enumerated() {
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
            .finish(answer.calls.isEmpty ? .stop : .toolCalls),
        ])
    }

    private func pause() async throws {
        if tokenDelay > .zero { try await Task.sleep(for: tokenDelay) }
    }

    /// Unique within a session, also when a step is run again.
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

/// What the scripted model reads of a request.
struct ScriptedConversation {
    /// The text of the last user message.
    var question = ""
    /// The results that follow the last assistant message, with the names of the tools where they are known.
    var results: [(tool: String, text: String)] = []
    /// The names of the tools on offer.
    var tools: Set<String> = []
    /// Words in all messages.
    var wordCount = 0

    init(messages: [ByteBuffer], tools: ByteBuffer?) throws(LLMError) {
        var toolNames: [String: String] = [:]
        for raw in messages {
            guard let message = try? JSONSlice(parsing: raw), message.kind == .object else {
                throw LLMError(.rejected, "A message is no JSON object.", status: 400)
            }
            let text = Self.text(of: message["content"])
            wordCount += text.split(whereSeparator: \.isWhitespace).count
            switch message["role"]?.string {
            case "user":
                question = text
                results = []
            case "assistant":
                results = []
                for call in message["tool_calls"].map({ Array($0.elements) }) ?? [] {
                    if let id = call["id"]?.string { toolNames[id] = call["function"]?["name"]?.string }
                }
            case "tool":
                results.append((message["tool_call_id"]?.string.flatMap { toolNames[$0] } ?? "the tool", text))
            default: break
            }
        }
        guard let tools, let list = try? JSONSlice(parsing: tools) else { return }
        self.tools = Set(list.elements.compactMap { $0["function"]?["name"]?.string })
    }

    /// A string, or the text of content parts.
    private static func text(of content: JSONSlice?) -> String {
        guard let content else { return "" }
        return content.string ?? content.elements.compactMap { $0["text"]?.string }.joined(separator: "\n")
    }
}

/// What the scripted model says.
struct ScriptedAnswer {
    struct Call {
        var name: String
        /// A JSON object.
        var arguments: String
    }

    /// Together the text of the answer; each ends with the space before the next.
    private(set) var tokens: [String] = []
    private(set) var calls: [Call] = []

    init(to conversation: ScriptedConversation) {
        guard conversation.results.isEmpty else {
            say(conversation.results.map { "The result of \($0.tool): \(Self.excerpt($0.text))" }.joined(separator: "\n"))
            return
        }
        var other: [Substring] = []
        var sentences: [String] = []
        var slow = 0
        for line in conversation.question.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: " ", maxSplits: 1)
            let command = parts.first.map(String.init) ?? ""
            let rest = parts.count > 1 ? String(parts[1]) : ""
            switch command {
            case "read_file" where !rest.isEmpty, "echo" where !rest.isEmpty:
                if conversation.tools.contains(command) {
                    let key = command == "echo" ? "text" : "path"
                    calls.append(Call(name: command, arguments: "{\"\(key)\":\(CheckedJSON(string: rest).text)}"))
                } else {
                    sentences.append("I have no tool named \(command).")
                }
            case "slow":
                if let count = Int(rest), count > 0 {
                    slow = min(slow + min(count, ScriptedProvider.maxSlowTokens), ScriptedProvider.maxSlowTokens)
                } else {
                    other.append(line)
                }
            default: other.append(line)
            }
        }
        if !other.isEmpty { sentences.insert("You said: \(Self.excerpt(other.joined(separator: "\n")))", at: 0) }
        if sentences.isEmpty, calls.isEmpty, slow == 0 { sentences.append("You said nothing.") }
        say(sentences.joined(separator: "\n"))
        if slow > 0 {
            if !tokens.isEmpty { tokens.append("\n") }
            tokens += (1...slow).map { $0 == slow ? "\($0)" : "\($0) " }
        }
    }

    private mutating func say(_ text: String) {
        var word = ""
        for character in text {
            word.append(character)
            if character.isWhitespace {
                tokens.append(word)
                word = ""
            }
        }
        if !word.isEmpty { tokens.append(word) }
    }

    private static func excerpt(_ text: String) -> String {
        text.count > ScriptedProvider.maxExcerpt ? text.prefix(ScriptedProvider.maxExcerpt) + "…" : text
    }
}
