import JSONText
import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// The stored history does not change.
@Suite("Histories in the form that strict servers accept", .tags(.search))
struct OutgoingMessagesTests {
    /// Returns the messages in the form of a request, with commas between them.
    private func written(_ messages: [String], strictTurns: Bool = false, _ change: (inout RequestForm) -> Void = { _ in }) -> String {
        var form = RequestForm()
        change(&form)
        var body = ByteBuffer()
        _ = OutgoingMessages.write(messages.map { ByteBuffer(string: $0) }, form: form, fillsGaps: strictTurns, into: &body)
        return String(buffer: body)
    }

    private static func elements(_ history: some Sequence<ByteBuffer>, form: RequestForm, strictTurns: Bool) throws -> [ByteBuffer] {
        var body = ByteBuffer(string: "[")
        _ = OutgoingMessages.write(Array(history), form: form, fillsGaps: strictTurns, into: &body)
        body.writeStaticString("]")
        return try JSONSlice(parsing: body).elements.map(\.raw)
    }

    private static let user = #"{"role":"user","content":"u"}"#
    private static let call =
        #"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}"#
    private static let result = #"{"role":"tool","tool_call_id":"c1","content":"r"}"#

    // MARK: Empty answers

    @Test(
        "An empty assistant message is left out, and its neighbours are joined",
        arguments: [
            #"{"role":"assistant","content":""}"#, #"{"role":"assistant","content":null}"#, #"{"role":"assistant","content":[]}"#,
            #"{"role":"assistant"}"#, #"{"role":"assistant","content":"","tool_calls":[]}"#, #"{"role":"assistant", "content": ""}"#,
        ]
    )
    func anEmptyAnswerIsLeftOutAndItsNeighboursAreJoined(empty: String) {
        #expect(written([Self.user, empty, Self.user]) == #"{"role":"user","content":"u\n\nu"}"#)
        #expect(written([Self.user, empty]) == Self.user)
    }

    @Test(
        "No other message is left out",
        arguments: [
            call, #"{"role":"assistant","content":"\u0061"}"#, #"{"role":"assistant","content":" "}"#,
            #"{"role":"assistant","content":[{"type":"text","text":"a"}]}"#,
            #"{"role":"assistant","content":"","tool_calls":[{"id":"c1"}]}"#, #"{"role":"assistant","content":null,"refusal":"no"}"#,
            #"{"role":"user","content":""}"#, #"{"role":"assistant","content":""#,
        ]
    )
    func nothingElseIsLeftOut(message: String) {
        #expect(written([message]) == message)
    }

    // MARK: Names and roles

    @Test("Tool messages get the name of their call")
    func toolMessagesGetTheNameOfTheirCall() {
        let other = #"{"role":"tool","tool_call_id":"c2","content":"r"}"#
        let named = #"{"role":"tool","name":"f","tool_call_id":"c1","content":"r"}"#
        let history = [Self.user, Self.call, Self.result, other, named]
        #expect(written(history) == history.joined(separator: ","))
        #expect(written(history) { $0.toolNames = true } == [Self.user, Self.call, named, other, named].joined(separator: ","))
    }

    @Test("The system prompt may have the developer role")
    func theSystemPromptMayBeADevelopers() {
        let history = [#"{"role":"system","content":"s"}"#, Self.user]
        #expect(written(history) == history.joined(separator: ","))
        #expect(written(history) { $0.systemRole = .developer } == #"{"role":"developer","content":"s"},"# + Self.user)
        #expect(written([Self.user]) { $0.systemRole = .developer } == Self.user)
        #expect(written([]) { $0.systemRole = .developer } == "")
    }

    @Test("A user message after a tool result may get a bridging message")
    func aUserBehindAResultMayBeBridged() {
        let history = [Self.user, Self.call, Self.result, Self.user]
        #expect(written(history) == history.joined(separator: ","))
        let filler = #"{"role":"assistant","content":"(no answer)"}"#
        #expect(written(history, strictTurns: true) == [Self.user, Self.call, Self.result, filler, Self.user].joined(separator: ","))
        let unanswered = [Self.user, Self.call, Self.result]
        #expect(written(unanswered, strictTurns: true) == unanswered.joined(separator: ","))
    }

    // MARK: Properties

    private static let forms: [(form: RequestForm, strictTurns: Bool)] = (0..<8).map { bits in
        var form = RequestForm()
        form.toolNames = bits & 1 != 0
        form.systemRole = bits & 4 != 0 ? .developer : .system
        return (form, bits & 2 != 0)
    }

    /// Returns the history of a session with failures, cancels and empty completions.
    private static func history(seed: UInt64) -> [ByteBuffer] {
        var random = SeededGenerator(seed: seed)
        var history = [#"{"role":"system","content":"s"}"#]
        for turn in 0..<8 {
            history.append(
                Bool.random(using: &random)
                    ? #"{"role":"user","content":"u\#(turn)"}"# : #"{"role":"user","content":[{"type":"text","text":"p\#(turn)"}]}"#)
            for round in 0..<Int.random(in: 0...2, using: &random) {
                let ids = (0...Int.random(in: 0...1, using: &random)).map { "t\(turn)r\(round)c\($0)" }
                let calls = ids.map { #"{"id":"\#($0)","type":"function","function":{"name":"f","arguments":"{}"}}"# }
                history.append(#"{"role":"assistant","content":null,"tool_calls":[\#(calls.joined(separator: ","))]}"#)
                history += ids.map { #"{"role":"tool","tool_call_id":"\#($0)","content":"r"}"# }
            }
            switch Int.random(in: 0..<5, using: &random) {
            case 0: break
            case 1: history.append(#"{"role":"assistant","content":""}"#)
            case 2: history.append(#"{"role":"assistant","content":null}"#)
            default: history.append(#"{"role":"assistant","content":"a\#(turn)"}"#)
            }
        }
        return history.map { ByteBuffer(string: $0) }
    }

    @Test("A longer history changes nothing but the last message of a shorter one", arguments: 0..<12 as Range<UInt64>)
    func requestsOnlyGrow(seed: UInt64) throws {
        let history = Self.history(seed: seed)
        for (form, strictTurns) in Self.forms {
            let sent = try (0...history.count).map {
                try Self.elements(history.prefix($0), form: form, strictTurns: strictTurns)
            }
            for (length, shorter) in sent.enumerated() {
                for longer in sent[length...] {
                    #expect(longer.starts(with: shorter.dropLast()), "seed \(seed), \(length) messages, \(form)")
                }
            }
        }
    }

    /// The templates of Mistral and Gemma require that user and assistant alternate.
    @Test("User and assistant messages alternate for every session", arguments: 0..<12 as Range<UInt64>)
    func userAndAssistantTakeTurns(seed: UInt64) throws {
        for (form, strictTurns) in Self.forms {
            let sent = try Self.elements(Self.history(seed: seed), form: form, strictTurns: strictTurns)
            let messages = try sent.dropFirst().map { try JSON(parsing: $0) }
            let roles = messages.map { $0["role"].string ?? "" }
            #expect(!zip(roles, roles.dropFirst()).contains { $0 == "user" && $1 == "user" }, "seed \(seed): \(roles)")
            guard strictTurns else { continue }
            let turns = messages.filter { $0["role"].string != "tool" && $0["tool_calls"].isNull }.map { $0["role"].string }
            #expect(turns == turns.indices.map { $0 % 2 == 0 ? "user" : "assistant" }, "seed \(seed): \(roles)")
            #expect(!zip(roles, roles.dropFirst()).contains { $0 == "tool" && $1 == "user" })
        }
    }

    @Test("A request changed after its refusal equals one written for a known server", arguments: 0..<12 as Range<UInt64>)
    func whatIsConcededLaterIsWhatWouldHaveBeenWritten(seed: UInt64) {
        var request = LLMRequest(model: "m", messages: Self.history(seed: seed))
        request.tools = ByteBuffer(string: "[1]")
        for stream in [true, false] {
            let plain = ChatCompletionRequest.encode(request, stream: stream)
            #expect(plain.concessions.contains(.streamOptions) == stream)
            for concessions in [[], .streamOptions, .strictTurns, [.streamOptions, .strictTurns]] as [Concessions] {
                let changed = plain.conceding(concessions)
                #expect(changed.bytes == ChatCompletionRequest.encode(request, stream: stream, conceding: concessions).bytes)
                #expect(changed.concessions == plain.concessions.subtracting(concessions))
                // If the concessions are made one by one, the request is the same.
                #expect(changed.conceding([.streamOptions, .strictTurns]).bytes == plain.conceding([.streamOptions, .strictTurns]).bytes)
            }
        }
    }
}
