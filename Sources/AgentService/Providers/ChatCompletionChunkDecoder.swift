import NIOCore
import SessionStore

/// Turns the JSON of OpenAI's chat completions, chunk by chunk or whole, into events.
///
/// It also takes what other servers make of that format: content as a list of parts, tool calls without an index or with the
/// same index for different calls, arguments as an object, the retired `function_call`.
///
/// The end is held back until ``finish(into:)``, because `usage` follows `finish_reason` on the wire.
struct ChatCompletionChunkDecoder: Sendable {
    /// More tool calls than this in one answer are an error.
    static let maxToolCalls = 128

    private let recognizesRepeats: Bool
    private let showsReasoning: Bool
    private var calls = ToolCallIndex(limit: Self.maxToolCalls)
    private var finishReason: FinishReason?
    private var sawContent = false
    private var reasoning = ReasoningCollector()
    private var template: ChunkTemplate?
    private var reasoningTemplate: ChunkTemplate?
    /// Of the chunk that is being read: what it says that is not null, and the last text among that.
    private var sayings = 0
    private var text: JSONSlice?
    /// Of the chunk that is being read: pieces of reasoning that are not empty, and the last one.
    private var thoughts = 0
    private var thought: JSONSlice?

    /// - Parameters:
    ///   - showsReasoning: Whether the model's reasoning is to be shown as it comes.
    ///   - recognizesRepeats: Whether chunks that are like an earlier one are read by comparing. What they say is the same either way.
    init(showsReasoning: Bool = false, recognizesRepeats: Bool = true) {
        self.showsReasoning = showsReasoning
        self.recognizesRepeats = recognizesRepeats
    }

    /// Whether the model has said why it stopped.
    var hasFinishReason: Bool { finishReason != nil }

    /// Decodes one `chat.completion.chunk` or `chat.completion` and appends what it says to `events`.
    /// - Throws: ``LLMError`` for an `error` object or for what is no such JSON; `events` then holds what came before.
    mutating func decode(_ json: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) {
        if let text = template?.string(in: json) { return appendText(text.string, to: &events) }
        if let thought = reasoningTemplate?.string(in: json) { return append(thought: thought, to: &events) }
        let before = events.count
        (sayings, thoughts) = (0, 0)
        (text, thought) = (nil, nil)
        try read(json, into: &events)
        if recognizesRepeats, finishReason == nil {
            if thoughts == 0, sayings == 1, let text, events.count == before + 1, case .textDelta = events.last {
                template = ChunkTemplate(json, around: text)
            } else if thoughts == 1, let thought, events.count == before + (showsReasoning ? 1 : 0), sayings == (text == nil ? 0 : 1) {
                reasoningTemplate = ChunkTemplate(json, around: thought)
            }
        }
        (text, thought) = (nil, nil)
    }

    private mutating func read(_ json: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) {
        let chunk: JSONSlice
        do {
            chunk = try JSONSlice(parsing: json)
        } catch {
            throw LLMError(.invalidResponse, "The model's answer is not JSON: \(error)")
        }
        guard chunk.kind == .object else { throw Self.unexpected("answer") }
        var usage: JSONSlice?
        for member in chunk.members {
            switch member.key {
            case "choices": try decodeChoices(member.value, into: &events)
            case "usage": usage = member.value
            case "error" where !member.value.isNull: throw ErrorBody.streamError(member.value)
            default: break
            }
        }
        if let usage { try decodeUsage(usage, into: &events) }
    }

    /// Appends the end of the generation.
    /// - Parameter isMarked: Whether the stream said itself that it is over, with `[DONE]`. Then content without a
    ///   `finish_reason` is taken as finished.
    /// - Throws: ``LLMError`` if the answer is cut off.
    mutating func finish(isMarked: Bool, into events: inout [LLMEvent]) throws(LLMError) {
        var reason = finishReason
        if reason == nil, isMarked, sawContent || calls.count > 0 { reason = .stop }
        guard var reason else { throw LLMError(.unavailable, "The model's answer ended before it was finished.") }
        // Several servers, and OpenAI itself where a function is forced, call it "stop".
        if reason == .stop, calls.count > 0 { reason = .toolCalls }
        if let trace = reasoning.trace { events.append(.reasoning(trace)) }
        events.append(.finish(reason))
    }

    private mutating func decodeChoices(_ choices: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        guard choices.kind == .array || choices.isNull else { throw Self.unexpected("choices") }
        for choice in choices.elements {
            guard choice.kind == .object else { throw Self.unexpected("choices") }
            var delta: JSONSlice?
            var reason: String?
            var isOther = false
            for member in choice.members {
                switch member.key {
                case "delta", "message": if !member.value.isNull { delta = member.value }
                case "finish_reason": reason = member.value.string
                case "index": isOther = (member.value.integer ?? 0) != 0
                default: break
                }
            }
            if isOther { continue }
            if let delta { try decodeDelta(delta, into: &events) }
            if let reason, !reason.isEmpty { finishReason = FinishReason(reason) }
        }
    }

    private mutating func decodeDelta(_ delta: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        guard delta.kind == .object else { throw Self.unexpected("delta") }
        for member in delta.members {
            switch member.key {
            case "content" where !member.value.isNull, "refusal" where !member.value.isNull:
                sayings += 1
                try decodeContent(member.value, into: &events)
            case "tool_calls" where !member.value.isNull:
                sayings += 1
                try decodeToolCalls(member.value, into: &events)
            case "function_call" where !member.value.isNull:
                sayings += 1
                guard member.value.kind == .object else { throw Self.unexpected("function_call") }
                let index = try calls.indexOfFunctionCall()
                decodeFunction(member.value, index: index, id: nil, into: &events)
            case "reasoning_content": decodeReasoning(member.value, as: "reasoning_content", into: &events)
            case "reasoning": decodeReasoning(member.value, as: "reasoning", into: &events)
            case "reasoning_text": decodeReasoning(member.value, as: "reasoning_text", into: &events)
            case "reasoning_details":
                if reasoning.append(details: member.value) { thoughts += 2 }
            default: break
            }
        }
    }

    /// Text, or a list of parts.
    private mutating func decodeContent(_ content: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        switch content.kind {
        case .string:
            text = content
            appendText(content.string, to: &events)
        case .array:
            for part in content.elements {
                if part.kind == .string {
                    appendText(part.string, to: &events)
                } else {
                    for member in part.members {
                        switch member.key {
                        case "text", "refusal": appendText(member.value.string, to: &events)
                        default: break
                        }
                    }
                }
            }
        case .object, .number, .true, .false, .null: throw Self.unexpected("content")
        }
    }

    private mutating func appendText(_ text: String?, to events: inout [LLMEvent]) {
        guard let text, !text.isEmpty else { return }
        sawContent = true
        events.append(.textDelta(text))
    }

    private mutating func decodeReasoning(_ text: JSONSlice, as member: String, into events: inout [LLMEvent]) {
        guard text.kind == .string, text.raw.readableBytes > 2, reasoning.choose(member) else { return }
        thoughts += 1
        thought = text
        append(thought: text, to: &events)
    }

    private mutating func append(thought: JSONSlice, to events: inout [LLMEvent]) {
        guard thought.raw.readableBytes > 2 else { return }
        reasoning.append(text: thought)
        if showsReasoning, let text = thought.string { events.append(.reasoningDelta(text)) }
    }

    private mutating func decodeToolCalls(_ list: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        guard list.kind == .array else { throw Self.unexpected("tool_calls") }
        for (position, call) in list.elements.enumerated() {
            guard call.kind == .object else { throw Self.unexpected("tool_calls") }
            var upstreamIndex: Int?
            var id: String?
            var function: JSONSlice?
            var unknown: [JSONMembers.Member] = []
            for member in call.members {
                switch member.key {
                case "index": upstreamIndex = member.value.integer
                case "id": id = member.value.string.flatMap { $0.isEmpty ? nil : $0 }
                case "function": function = member.value.kind == .object ? member.value : nil
                case "type": break
                default: unknown.append(member)
                }
            }
            let hasName = function?["name"]?.string.map { !$0.isEmpty } ?? false
            let index = try calls.index(upstream: upstreamIndex, position: position, id: id, hasName: hasName)
            for member in unknown { reasoning.set(member, ofCall: index) }
            decodeFunction(function, index: index, id: id, into: &events)
        }
    }

    private mutating func decodeFunction(_ function: JSONSlice?, index: Int, id: String?, into events: inout [LLMEvent]) {
        var name: String?
        var arguments = ""
        if let function {
            for member in function.members {
                switch member.key {
                case "name": name = member.value.string.flatMap { $0.isEmpty ? nil : $0 }
                case "arguments":
                    switch member.value.kind {
                    case .string: arguments = member.value.string ?? ""
                    case .null: break
                    case .object, .array, .number, .true, .false: arguments = member.value.text.text
                    }
                default: break
                }
            }
        }
        let new = calls.announce(index, id: id, name: name)
        guard new.id != nil || new.name != nil || !arguments.isEmpty else { return }
        events.append(.toolCall(index: index, id: new.id, name: new.name, arguments: arguments))
    }

    private func decodeUsage(_ usage: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        if usage.isNull { return }
        guard usage.kind == .object else { throw Self.unexpected("usage") }
        var total = TokenUsage()
        for member in usage.members {
            switch member.key {
            case "prompt_tokens": total.promptTokens = Self.count(member.value)
            case "completion_tokens": total.completionTokens = Self.count(member.value)
            default: break
            }
        }
        events.append(.usage(total))
    }

    /// A number of tokens, kept in a range in which sums cannot overflow.
    private static func count(_ value: JSONSlice) -> Int { TokenUsage.possible(value.integer ?? 0) }

    private static func unexpected(_ field: StaticString) -> LLMError {
        LLMError(.invalidResponse, "The model's answer has an unexpected form: \(field).")
    }
}
