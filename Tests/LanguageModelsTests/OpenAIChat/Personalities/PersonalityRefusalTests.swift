import TestSupport
import Testing

@testable import LocalDeployment

/// Messages 2 and 5 of the loop contain calls, message 8 is a text, and message 9 is the user's.
@Suite("Requests that personalities refuse")
struct PersonalityRefusalTests {
    private func refusal(
        _ personality: Personality, _ change: (inout ScriptedLoop) throws -> Void
    ) throws -> Refusal? {
        var loop = try ScriptedLoop(with: personality)
        try change(&loop)
        return loop.refusal
    }

    // MARK: Reasoning

    @Test(
        "Missing reasoning is refused where the server requires it",
        arguments: [
            (Personality.deepseek, 2, "reasoning_content", "must be passed back"),
            (.deepseek, 8, "reasoning_content", "must be passed back"),
            (.kimi, 5, "reasoning_content", "reasoning_content is missing"),
            // The text beside the calls does not suffice.
            (.openrouter, 5, "reasoning_details", "but found `tool_use`"),
        ]
    )
    func reasoningThatIsWantedAndMissing(_ personality: Personality, place: Int, member: String, why: String) throws {
        let refused = try refusal(personality) { $0.change(place) { $0[member] = nil } }
        #expect(refused?.message.contains(why) == true)
    }

    /// The damage is a changed byte, another message's reasoning, or truncated reasoning.
    @Test(
        "Damaged reasoning is refused",
        arguments: [
            (Personality.deepseek, "reasoning_content"), (.kimi, "reasoning_content"), (.openrouter, "reasoning"), (.vllm, "reasoning"),
            (.ollama, "reasoning"),
        ]
    )
    func reasoningThatIsDamaged(_ personality: Personality, member: String) throws {
        let changes: [(String) -> String] = [
            { $0 + " " }, { String($0.dropLast()) }, { $0.replacing("🤔", with: "\u{FFFD}") }, { $0.replacing("\n", with: " ") },
        ]
        for change in changes {
            let refused = try refusal(personality) { loop in
                loop.change(2) { $0[member] = .string(change($0[member]?.string ?? "")) }
            }
            #expect(refused?.message.contains("is not what was sent") == true)
        }
        let swapped = try refusal(personality) { loop in
            let (one, other) = (loop.messages[2][member], loop.messages[5][member])
            loop.change(2) { $0[member] = other }
            loop.change(5) { $0[member] = one }
        }
        #expect(swapped?.message.contains("belongs to another message") == true)
        // The reasoning of the same message, from a generation that was abandoned.
        let stale = try refusal(personality) { loop in
            let thought = Thought(position: 0)
            loop.change(2) { $0[member] = .string(thought.text) }
        }
        #expect(stale?.message.contains("the calls are of") == true)
    }

    @Test("OpenRouter's reasoning details must be merged")
    func openRoutersDetailsMustBeMerged() throws {
        let unmerged = try refusal(.openrouter) { loop in
            loop.change(2) { members in
                let details = members["reasoning_details"]?.array ?? []
                members["reasoning_details"] = .array(details + details.suffix(1))
            }
        }
        #expect(unmerged?.message.contains("is not what was sent") == true)
        let unsigned = try refusal(.openrouter) { loop in
            loop.change(5) { members in
                var details = members["reasoning_details"]?.array ?? []
                var text = details[0].object
                text["signature"] = nil
                details[0] = .object(text)
                members["reasoning_details"] = .array(details)
            }
        }
        #expect(unsigned?.message.contains("is not what was sent") == true)
    }

    @Test("DeepSeek refuses an empty member in place of reasoning, and Kimi accepts it")
    func anEmptyMember() throws {
        func empty(_ personality: Personality, _ place: Int) throws -> Refusal? {
            try refusal(personality) { $0.change(place) { $0["reasoning_content"] = "" } }
        }
        #expect(try empty(.kimi, 2) == nil)
        #expect(try empty(.deepseek, 2)?.message.contains("must be passed back") == true)
        // A message of another model and a cancelled text have no reasoning of this model.
        #expect(try empty(.deepseek, 8) == nil)
        let foreign = try refusal(.deepseek) { loop in
            loop.change(2) { $0["reasoning_content"] = "" }
            loop.changeCall(2) { $0["id"] = "another" }
            loop.change(3) { $0["tool_call_id"] = "another" }
        }
        #expect(foreign == nil)
        // The stricter mode for tests still refuses the request.
        var loop = try ScriptedLoop(with: .kimi)
        loop.change(2) { $0["reasoning_content"] = "" }
        #expect(loop.loss?.contains("did not come back") == true)
    }

    @Test("The test server notices lost reasoning that the real server ignores", arguments: [Personality.vllm, .ollama])
    func whatIsNotMissedIsNoticedAllTheSame(_ personality: Personality) throws {
        var loop = try ScriptedLoop(with: personality)
        loop.change(5) { $0["reasoning"] = nil }
        #expect(loop.refusal == nil)
        #expect(loop.loss?.contains("did not come back") == true)
    }

    // MARK: Members that a server does not know

    @Test("A server that sends no reasoning refuses it", arguments: [Personality.plain, .deepseekR1, .gemini, .gpt, .mistral, .azure])
    func whoSendsNoReasoningTakesNone(_ personality: Personality) throws {
        for member in ["reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking"] {
            let refused = try refusal(personality) { loop in
                for place in loop.messages.indices { loop.change(place) { $0["reasoning_content"] = nil } }
                loop.change(5) { $0[member] = "" }
            }
            #expect(refused?.message.contains("unknown fields [\"\(member)\"]") == true)
        }
    }

    @Test("A call with unknown members is refused", arguments: Personality.allCases)
    func aCallHasNoOtherMembers(_ personality: Personality) throws {
        let refused = try refusal(personality) { loop in
            if personality == .deepseekR1 {
                for place in loop.messages.indices { loop.change(place) { $0["reasoning_content"] = nil } }
            }
            loop.changeCall(2) { $0["index"] = 0 }
        }
        #expect(refused?.message.contains("a call has unknown fields [\"index\"]") == true)
        guard personality != .gemini, personality != .deepseekR1 else { return }
        let foreign = try refusal(personality) { $0.changeCall(2) { $0["extra_content"] = [:] } }
        #expect(foreign?.message.contains("a call has unknown fields [\"extra_content\"]") == true)
    }

    @Test("Gemini's signature must come back with its call")
    func geminisSignature() throws {
        func changed(_ change: (inout [String: JSON]) -> Void) throws -> Refusal? {
            try refusal(.gemini) { $0.changeCall(5, change) }
        }
        #expect(try changed { $0["extra_content"] = nil }?.message.contains("missing a thought_signature") == true)
        let other = Thought(position: 0).signature
        #expect(
            try changed { $0["extra_content"] = ["google": ["thought_signature": .string(other)]] }?.message.contains("not valid") == true)
        #expect(try refusal(.gemini) { $0.change(3) { $0["name"] = nil } }?.message.contains("name is missing") == true)
    }

    // MARK: Requests

    @Test("OpenAI's rules are enforced")
    func whatGPTRefuses() throws {
        let loop = try ScriptedLoop(with: .gpt)
        func member(_ change: (inout [String: JSON]) -> Void) -> String? {
            Personality.gpt.refusal(of: loop.request(loop.messages, change))?.member
        }
        #expect(member { _ in } == nil)
        #expect(member { $0["reasoning_effort"] = nil } == "reasoning_effort")
        #expect(member { $0["reasoning_effort"] = "low" } == "reasoning_effort")
        #expect(member { $0["reasoning_effort"] = "minimal" } == "reasoning_effort")
        // Without tools the model may reason.
        #expect(member { ($0["reasoning_effort"], $0["tools"]) = ("low", nil) } == nil)
        #expect(member { $0["max_tokens"] = 100 } == "max_tokens")
        #expect(member { $0["max_completion_tokens"] = 100 } == nil)
        #expect(member { $0["temperature"] = 0 } == "temperature")
        #expect(member { $0["temperature"] = 1 } == nil)
        #expect(try refusal(.gpt) { $0.change(0) { $0["role"] = "developer" } } == nil)
        #expect(try refusal(.mistral) { $0.change(0) { $0["role"] = "developer" } } != nil)
    }

    @Test("Mistral's rules are enforced")
    func whatMistralRefuses() throws {
        let loop = try ScriptedLoop(with: .mistral)
        let options = Personality.mistral.refusal(of: loop.request(loop.messages) { $0["stream_options"] = ["include_usage": true] })
        let refused = try #require(options)
        #expect(Personality.mistral.answer(refused).status == 422)
        let long = try refusal(.mistral) { loop in
            loop.changeCall(2) { $0["id"] = "call_1234" }
            loop.change(3) { $0["tool_call_id"] = "call_1234" }
        }
        #expect(long?.message.contains("with a length of 9") == true)
        // Index 8 is after a tool's result, and index 9 after the user's message.
        for place in [8, 9] {
            let refused = try refusal(.mistral) { $0.messages.insert(["role": "user", "content": "Go on."], at: place) }
            #expect(refused?.message.contains("unexpected role 'user'") == true)
        }
        #expect(try refusal(.mistral) { $0.messages.removeLast() } != nil)
    }

    @Test("Each personality answers at its own address only")
    func eachHasItsAddress() throws {
        for personality in Personality.allCases {
            var request = try ScriptedLoop(with: personality).request([["role": "user", "content": "Hi"]])
            #expect(personality.refusal(of: request) == nil, "\(personality)")
            request.path += "/v1/chat/completions"
            #expect(personality.refusal(of: request)?.status == 404)
        }
        var azure = try ScriptedLoop(with: .azure).request([["role": "user", "content": "Hi"]])
        azure.query = nil
        #expect(Personality.azure.refusal(of: azure)?.member == "api-version")
    }
}
