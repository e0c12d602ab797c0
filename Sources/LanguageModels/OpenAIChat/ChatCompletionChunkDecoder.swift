import JSONText
import NIOCore

/// Turns the JSON of OpenAI's chat completions, chunk by chunk or whole, into events.
///
/// It also takes the variants that other servers write: content as a list of parts, tool calls
/// without an index or with the same index for different calls, arguments as an object, characters
/// cut in two, the retired `function_call`.
///
/// The end is held back until ``finish(isMarked:into:)``, because `usage` follows `finish_reason`
/// on the wire.
struct ChatCompletionChunkDecoder: Sendable {
    /// More tool calls than this in one completion are an error.
    static let maxToolCalls = 128

    private let recognizesRepeats: Bool
    private let showsReasoning: Bool
    var calls = ToolCallIndex(limit: Self.maxToolCalls)
    private var end = CompletionEnd()
    private var usage = ChatCompletionUsage()
    var reasoning = ReasoningCollector()
    private var template: ChunkTemplate?
    private var reasoningTemplate: ChunkTemplate?
    /// The character that the last piece of text broke off in, and those of the calls' arguments.
    private var textJoiner = CharacterJoiner()
    private var thoughtJoiner = CharacterJoiner()
    private var argumentJoiners: [Int: CharacterJoiner] = [:]
    /// Whether a `delta` has come. A `message` beside it or behind it then repeats the deltas.
    private var hasDelta = false
    /// Whether a `message` has come without a `delta`: the completion is whole.
    private(set) var hasMessage = false
    /// Of the current chunk: how many members with words are not null, the last text among them,
    /// and whether its strings may hold halves of characters.
    var sayings = 0
    var text: JSONSlice?
    private var isBroken = false
    /// Of the current chunk: how many pieces of reasoning are not empty, and the last one.
    var thoughts = 0
    private var thought: JSONSlice?

    /// - Parameters:
    ///   - showsReasoning: Whether the model's reasoning is to be shown as it comes.
    ///   - recognizesRepeats: Whether chunks that are like an earlier one are read by comparing.
    ///     The events are the same either way.
    init(showsReasoning: Bool = false, recognizesRepeats: Bool = true) {
        self.showsReasoning = showsReasoning
        self.recognizesRepeats = recognizesRepeats
    }

    /// Whether the model has said why it stopped, and has said nothing since.
    var isAtEnd: Bool { end.isReached }

    /// Whether text has followed a reason, so that no reason counts.
    var isInDoubt: Bool { end.isInDoubt }

    /// Decodes one `chat.completion.chunk` or `chat.completion` and appends its events.
    ///
    /// - Throws: ``LLMError`` for an error that a server reports, or for anything that is not such
    ///   JSON; `events` then holds the events before it.
    mutating func decode(_ json: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) {
        if textJoiner.isEmpty, let text = template?.string(in: json) { return appendText(text.string, to: &events) }
        if thoughtJoiner.isEmpty, let thought = reasoningTemplate?.string(in: json) { return append(thought: thought, to: &events) }
        let before = events.count
        (sayings, thoughts) = (0, 0)
        (text, thought) = (nil, nil)
        try read(json, isBehindWords: end.isBegun, into: &events)
        if recognizesRepeats, !end.hasReason {
            if thoughts == 0, sayings == 1, let text, events.count == before + 1, case .textDelta = events.last {
                template = ChunkTemplate(json, around: text)
            } else if thoughts == 1, let thought, events.count == before + (showsReasoning ? 1 : 0), sayings == (text == nil ? 0 : 1) {
                reasoningTemplate = ChunkTemplate(json, around: thought)
            }
        }
        (text, thought) = (nil, nil)
    }

    /// - Parameter isBehindWords: Whether an earlier chunk has said something.
    private mutating func read(_ json: ByteBuffer, isBehindWords: Bool, into events: inout [LLMEvent]) throws(LLMError) {
        let chunk: JSONSlice
        do {
            if let strict = try? JSONSlice(parsing: json) {
                (chunk, isBroken) = (strict, false)
            } else {
                (chunk, isBroken) = (try JSONSlice(parsing: json, allowsBrokenText: true), true)
            }
        } catch {
            throw LLMError(.invalidResponse, "The model's answer is not JSON: \(error)")
        }
        switch chunk.kind {
        case .object: try readChunk(chunk, isBehindWords: isBehindWords, into: &events)
        case .array:
            for element in chunk.elements {
                guard element.kind == .object else { throw Self.unexpected("answer") }
                try readChunk(element, isBehindWords: isBehindWords, into: &events)
            }
        case .string, .number, .true, .false, .null: throw Self.unexpected("answer")
        }
    }

    private mutating func readChunk(_ chunk: JSONSlice, isBehindWords: Bool, into events: inout [LLMEvent]) throws(LLMError) {
        var counts: JSONSlice?
        var hasChoices = false
        var saysError = false
        for member in chunk.members {
            switch member.key {
            case "choices":
                hasChoices = true
                try decodeChoices(member.value, isBehindWords: isBehindWords, into: &events)
            case "usage": counts = member.value
            case "error" where !member.value.isNull: throw ErrorBody.streamError(member.value)
            case "object", "type": saysError = saysError || member.value.string == "error"
            default: break
            }
        }
        if saysError || !hasChoices, let error = ErrorBody.streamError(inChunk: chunk) { throw error }
        if let counts { decodeUsage(counts, into: &events) }
    }

    /// Appends the end of the generation.
    ///
    /// - Parameter isMarked: Whether the stream has marked its end with `[DONE]`. Then content
    ///   without a `finish_reason` is taken as finished.
    /// - Throws: ``LLMError`` if the completion is cut off.
    mutating func finish(isMarked: Bool, into events: inout [LLMEvent]) throws(LLMError) {
        appendBrokenCharacters(to: &events)
        guard var reason = end.reason(isMarked: isMarked) else {
            throw LLMError(.unavailable, "The model's answer ended before it was finished.")
        }
        // Several servers, and OpenAI itself where a function is forced, call it "stop".
        if reason == .stop, calls.count > 0 { reason = .toolCalls }
        if let trace = reasoning.trace { events.append(.reasoning(trace)) }
        events.append(.finish(reason))
    }

    private mutating func decodeChoices(_ choices: JSONSlice, isBehindWords: Bool, into events: inout [LLMEvent]) throws(LLMError) {
        guard choices.kind == .array || choices.isNull else { throw Self.unexpected("choices") }
        for choice in choices.elements where !choice.isNull {
            guard choice.kind == .object else { throw Self.unexpected("choices") }
            var delta: JSONSlice?
            var message: JSONSlice?
            var reason: FinishReason?
            var error: JSONSlice?
            var counts: JSONSlice?
            var isOther = false
            for member in choice.members {
                switch member.key {
                case "delta": if !member.value.isNull { delta = member.value }
                case "message": if !member.value.isNull { message = member.value }
                case "finish_reason": reason = member.value.string.flatMap { FinishReason($0) }
                case "error": if !member.value.isNull { error = member.value }
                case "usage": counts = member.value
                case "index": isOther = (member.value.integer ?? 0) != 0
                default: break
                }
            }
            if isOther { continue }
            if let delta {
                hasDelta = true
                try decodeDelta(delta, into: &events)
            } else if let message, !hasDelta {
                try decodeDelta(message, into: &events)
                hasMessage = true
            }
            if let error { throw ErrorBody.streamError(error, reason: reason) }
            if let reason { end.take(reason, isBehindWords: isBehindWords) }
            if let counts { decodeUsage(counts, into: &events) }
        }
    }

    private mutating func decodeUsage(_ counts: JSONSlice, into events: inout [LLMEvent]) {
        if usage.read(counts) { events.append(.usage(usage.total)) }
    }

    // MARK: Text and arguments

    mutating func appendText(_ piece: JSONSlice, to events: inout [LLMEvent]) {
        appendText(textJoiner.join(piece, isBroken: isBroken), to: &events)
    }

    mutating func appendText(_ text: String?, to events: inout [LLMEvent]) {
        guard let text, !text.isEmpty else { return }
        end.somethingWasSaid()
        events.append(.textDelta(text))
    }

    mutating func decodeReasoning(_ text: JSONSlice, as member: String, into events: inout [LLMEvent]) {
        guard text.kind == .string, text.raw.readableBytes > 2, reasoning.choose(member) else { return }
        thoughts += 1
        thought = text
        append(thought: text, to: &events)
    }

    private mutating func append(thought: JSONSlice, to events: inout [LLMEvent]) {
        guard thought.raw.readableBytes > 2 else { return }
        reasoning.append(text: thought)
        if showsReasoning, let text = thoughtJoiner.join(thought, isBroken: isBroken), !text.isEmpty {
            events.append(.reasoningDelta(text))
        }
    }

    mutating func append(_ placed: ToolCallIndex.Placed, to events: inout [LLMEvent]) {
        guard placed.isNews else { return }
        end.somethingWasSaid()
        events.append(.toolCall(index: placed.index, id: placed.id, name: placed.name, arguments: placed.arguments))
    }

    /// Returns the text of a piece of a call's arguments that may have halves of characters; nil
    /// for a piece of whole characters.
    mutating func joinArguments(_ piece: JSONSlice, of call: Int) -> String? {
        if !isBroken, argumentJoiners.isEmpty { return nil }
        return argumentJoiners[call, default: CharacterJoiner()].join(piece, isBroken: isBroken)
    }

    /// Appends U+FFFD for each half of a character that has stayed alone.
    private mutating func appendBrokenCharacters(to events: inout [LLMEvent]) {
        if let rest = textJoiner.finish() { events.append(.textDelta(rest)) }
        for call in argumentJoiners.keys.sorted() {
            guard let rest = argumentJoiners[call]?.finish() else { continue }
            events.append(.toolCall(index: call, id: nil, name: nil, arguments: rest))
        }
    }

    static func unexpected(_ field: StaticString) -> LLMError {
        LLMError(.invalidResponse, "The model's answer has an unexpected form: \(field).")
    }
}
