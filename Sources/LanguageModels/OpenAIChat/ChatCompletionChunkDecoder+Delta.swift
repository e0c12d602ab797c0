import JSONText
import NIOCore

/// The members of a `delta` or a `message`.
extension ChatCompletionChunkDecoder {
    mutating func decodeDelta(_ delta: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
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
                let function = Function(member.value)
                let placed = try calls.placeFunctionCall(name: function.name, arguments: function.text)
                append(joined(placed, function), to: &events)
            case "reasoning_content": decodeReasoning(member.value, as: "reasoning_content", into: &events)
            case "reasoning": decodeReasoning(member.value, as: "reasoning", into: &events)
            case "reasoning_text": decodeReasoning(member.value, as: "reasoning_text", into: &events)
            case "reasoning_details":
                if reasoning.append(details: member.value) { thoughts += 2 }
            default: break
            }
        }
    }

    /// Decodes text, or a list of parts. A number is text of a server that has left out the quotes.
    private mutating func decodeContent(_ content: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        switch content.kind {
        case .string:
            text = content
            appendText(content, to: &events)
        case .number: appendText(content.text.text, to: &events)
        case .array:
            for part in content.elements {
                if part.kind == .string {
                    appendText(part, to: &events)
                } else {
                    for member in part.members {
                        switch member.key {
                        case "text", "refusal": appendText(member.value, to: &events)
                        default: break
                        }
                    }
                }
            }
        case .object, .true, .false, .null: throw Self.unexpected("content")
        }
    }

    /// Decodes a list of calls or of their fragments, or a single one.
    private mutating func decodeToolCalls(_ list: JSONSlice, into events: inout [LLMEvent]) throws(LLMError) {
        switch list.kind {
        case .object: try decodeToolCall(list, position: 0, into: &events)
        case .array:
            for (position, call) in list.elements.enumerated() where !call.isNull {
                guard call.kind == .object else { throw Self.unexpected("tool_calls") }
                try decodeToolCall(call, position: position, into: &events)
            }
        case .string, .number, .true, .false, .null: throw Self.unexpected("tool_calls")
        }
    }

    private mutating func decodeToolCall(_ call: JSONSlice, position: Int, into events: inout [LLMEvent]) throws(LLMError) {
        var fragment = ToolCallIndex.Fragment(position: position)
        var function = Function()
        var unknown: [JSONMembers.Member] = []
        for member in call.members {
            switch member.key {
            case "index": fragment.upstream = member.value.integer
            case "id": fragment.id = member.value.string.flatMap { $0.isEmpty ? nil : $0 }
            case "function": function = Function(member.value)
            case "type": break
            default: unknown.append(member)
            }
        }
        fragment.name = function.name
        fragment.arguments = function.text
        let placed = try calls.place(fragment)
        for member in unknown { reasoning.set(member, ofCall: placed.index) }
        append(joined(placed, function), to: &events)
    }

    /// Returns a fragment with the characters of its arguments joined to those of the fragment
    /// before.
    private mutating func joined(_ placed: ToolCallIndex.Placed, _ function: Function) -> ToolCallIndex.Placed {
        guard let piece = function.arguments, !placed.arguments.isEmpty else { return placed }
        var placed = placed
        placed.arguments = joinArguments(piece, of: placed.index) ?? placed.arguments
        return placed
    }

    /// The member `function` of a call.
    private struct Function {
        var name: String?
        /// The arguments, if they are a string.
        var arguments: JSONSlice?
        /// The text of the arguments. Some servers send the object itself instead of its text.
        var text = ""

        init() {}

        init(_ function: JSONSlice) {
            for member in function.members {
                switch member.key {
                case "name": name = member.value.string.flatMap { $0.isEmpty ? nil : $0 }
                case "arguments":
                    switch member.value.kind {
                    case .string:
                        arguments = member.value
                        text = member.value.string ?? ""
                    case .null: break
                    case .object, .array, .number, .true, .false: text = member.value.text.text
                    }
                default: break
                }
            }
        }
    }
}
