/// Servers that stream `reasoning_content` before text and calls: DeepSeek and Kimi.
struct ReasoningContent: Dialect {
    var replay: ReplayRule

    var rules: RequestRules {
        var rules = RequestRules(parameters: RequestRules.common.union(["thinking"]))
        if replay != .refused { rules.conversation.assistantMembers = ["reasoning_content"] }
        return rules
    }

    var wantedMember: String { "reasoning_content" }
    var sendsUsageWithFinish: Bool { true }

    func reasoning(_ thought: Thought) -> [String: JSON] { ["reasoning_content": .string(thought.text)] }

    func reasoningDeltas(_ thought: Thought) -> [JSON] {
        thought.pieces.map { ["content": nil, "reasoning_content": .string($0)] }
    }

    /// DeepSeek's thinking models demand it back with each message of a turn that used tools.
    static let deepSeek = ReasoningContent(
        replay: .wantedInToolTurns(refusing: "The `reasoning_content` in the thinking mode must be passed back to the API."))
    /// DeepSeek's first thinking models refuse the member that they sent.
    static let deepSeekR1 = ReasoningContent(replay: .refused)
    /// Kimi demands it back with calls.
    static let kimi = ReasoningContent(
        replay: .wantedWithCalls(
            refusing: "thinking is enabled but reasoning_content is missing in assistant tool call message", acceptsEmpty: true))
}
