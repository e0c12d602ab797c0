import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// Runs random completions in random sessions.
@Suite("Histories of random sessions")
struct StepStateMachineHistoryTests {
    struct Model {
        var random: SeededGenerator

        static let ids: [String?] = [
            nil, "", "call_0", "call_0", "call_1", "call_2", "a/b", "a\"b\\c", "ü", "\u{2028}", "\u{85}", "\u{7F}", "\u{1}", "日本",
            String(repeating: "x", count: 200),
        ]
        static let arguments = [
            "", " ", "{}", #"{"a":1}"#, #"{ "b" : [1, 2, {}] }"#, #"{"a":"\u2028 😀 \n"}"#, "{\"a\":\"\u{2028}\u{85}\"}", "nonsense",
            #"{"a":"#, "[]", "null", "\u{0}",
        ]
        static let tokens = ["Hello", " ", "\n", "😀", "\u{2028}", "\"", "\\", "\u{0}", "日本", "{\"role\":\"tool\"}", "tool_call_id"]

        mutating func generation() -> [LLMEvent] {
            var events: [LLMEvent] = (0..<Int.random(in: 0...4, using: &random)).map { _ in .textDelta(pick(Self.tokens, "x")) }
            guard Int.random(in: 0..<3, using: &random) > 0 else { return events + [.finish(.stop)] }
            for index in 0..<Int.random(in: 1...4, using: &random) {
                let name: String? = Int.random(in: 0..<30, using: &random) == 0 ? nil : pick(["echo", "read_file", "a \"tool\""], "echo")
                events.append(.toolCall(index: index, id: pick(Self.ids, nil), name: name, arguments: ""))
                let arguments = pick(Self.arguments, "")
                let cut = arguments.index(arguments.startIndex, offsetBy: Int.random(in: 0...arguments.count, using: &random))
                for piece in [arguments[..<cut], arguments[cut...]] {
                    events.append(.toolCall(index: index, id: nil, name: nil, arguments: String(piece)))
                }
            }
            return events + [.finish(.toolCalls)]
        }

        mutating func pick<Value>(_ values: [Value], _ other: Value) -> Value { values.randomElement(using: &random) ?? other }
    }

    /// The tool message that the script writes for a closed call, with the escapes of Redis's JSON
    /// library.
    static func closed(_ id: String) -> ByteBuffer {
        let escaped = JSON.string(id).text.replacing("/", with: "\\/").replacing("\u{7F}", with: "\\u007f")
        return ByteBuffer(string: #"{"role":"tool","tool_call_id":\#(escaped),"content":"cancelled"}"#)
    }

    @Test("Every step leaves a history that a provider accepts (I1)", arguments: 0..<6)
    func theHistoryIsAlwaysOneThatAProviderAccepts(seed: Int) throws {
        var model = Model(random: SeededGenerator(seed: UInt64(seed)))
        var history = [ChatMessage.system("be brief")]
        func check(_ messages: [ByteBuffer], _ what: String) throws {
            let violation = Conversation.violation(try messages.map { try JSON(parsing: $0) })
            #expect(violation == nil, "seed \(seed), \(what): \(messages.suffix(6).map { String(buffer: $0) })")
        }
        for turn in 0..<8 {
            history.append(ChatMessage.user(content: ByteBuffer(string: #""turn \#(turn)""#)))
            var isOver = false
            for _ in 0..<6 where !isOver {
                var driver = StepStateMachineTests.Driver(history: history)
                var shown = ""
                var ending: StepStateMachine.Ending?
                for _ in 0..<3 where ending == nil {
                    try check(driver.history, "what the model is sent")
                    let events = model.generation()
                    shown += events.map { if case .textDelta(let token) = $0 { token } else { "" } }.joined()
                    if case .commit(let last) = try driver.generate(events) { ending = last }
                }
                let end = try #require(ending, "seed \(seed): more than one repair")
                try compare(end, shown: shown, seed: seed)
                history += end.messages
                isOver = end.calls.isEmpty
                // The user sends a message, or the results arrive in any order.
                let goesOn = Int.random(in: 0..<4, using: &model.random) == 0
                for call in end.calls.shuffled(using: &model.random) {
                    history.append(
                        goesOn ? Self.closed(call.id) : ChatMessage.tool(callID: call.id, content: ByteBuffer(string: "r\u{2028}")))
                }
                try check(history, "what is stored")
                isOver = isOver || goesOn
            }
        }
    }

    /// Checks that the client's events agree with the stored history.
    private func compare(_ ending: StepStateMachine.Ending, shown: String, seed: Int) throws {
        let events = try StepStateMachineTests.events(ending)
        let comment = Comment(rawValue: "seed \(seed): \(events)")
        let content = events.first { $0["type"] == "assistant_message" }?["content"].string
        switch ending.status {
        case .completed: #expect(content == shown, comment)
        case .waiting: #expect((content ?? "") == shown, comment)
        case .failed: #expect(content == nil && events.last?["type"] == "error", comment)
        case .cancelled: Issue.record(comment)
        }
        let calls = events.filter { $0["type"] == "tool_call" }
        #expect(calls.map { $0["call_id"].string } == ending.calls.map(\.id), comment)
        #expect(calls.map { $0["is_final"].bool } == calls.indices.map { $0 == calls.count - 1 }, comment)
        for (event, call) in zip(calls, ending.calls) {
            #expect(event["arguments"] == (try JSON(parsing: call.arguments)), comment)
            #expect(CallID.isAccepted(call.id), comment)
        }
    }
}
