import NIOCore

extension Dialect {
    /// Encodes a completion as the server would send it.
    func answer(_ completion: ScriptedCompletion, to request: UpstreamRequest) -> UpstreamAnswer {
        let thought = Thought(position: request.messages.count { !$0["tool_calls"].array.isEmpty })
        return request.body["stream"].bool == true ? stream(completion, thought) : whole(completion, thought)
    }

    private func stream(_ completion: ScriptedCompletion, _ thought: Thought) -> UpstreamAnswer {
        var answer = UpstreamAnswer()
        func add(_ delta: JSON, finish: String? = nil, usage: JSON? = nil) {
            answer.add(event: chunk([choice(delta: delta, finish: finish)], thought, usage: usage).text)
        }
        begin(&answer)
        add(["role": "assistant", "content": ""])
        for delta in reasoningDeltas(thought) { add(delta) }
        for piece in completion.text {
            add(["content": content(piece)])
            if let pace = completion.pace { answer.parts.append(.pause(pace)) }
        }
        for delta in callDeltas(completion.calls, thought) { add(delta) }
        if let pause = completion.pauseAfterCalls, !completion.calls.isEmpty { answer.parts.append(.pause(pause)) }
        add([:], finish: completion.finishReason, usage: sendsUsageWithFinish ? usage : nil)
        if !sendsUsageWithFinish { answer.add(event: chunk([], thought, usage: usage).text) }
        answer.add(event: "[DONE]")
        return answer
    }

    private func whole(_ completion: ScriptedCompletion, _ thought: Thought) -> UpstreamAnswer {
        var message = reasoning(thought)
        message["role"] = "assistant"
        message["content"] = completion.text.isEmpty ? .null : .string(completion.text.joined())
        let calls = completion.calls.enumerated().map { index, call in
            var members = extraMembers(ofCall: index, thought)
            members["id"] = .string(callID(index, thought))
            members["type"] = "function"
            members["function"] = ["name": .string(call.name), "arguments": .string(call.arguments)]
            return JSON.object(members)
        }
        if !calls.isEmpty { message["tool_calls"] = .array(calls) }
        let choice: JSON = ["index": 0, "message": .object(message), "finish_reason": .string(completion.finishReason)]
        return .json(200, ["id": "chatcmpl-1", "object": "chat.completion", "model": "test", "choices": [choice], "usage": usage])
    }

    private func chunk(_ choices: [JSON], _ thought: Thought, usage: JSON?) -> JSON {
        var members: [String: JSON] = [
            "id": .string("chatcmpl-\(thought.generation)"), "object": "chat.completion.chunk", "created": 1, "model": "test",
            "choices": .array(choices),
        ]
        members["usage"] = usage
        return .object(members)
    }

    private var usage: JSON { ["prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28] }
}
