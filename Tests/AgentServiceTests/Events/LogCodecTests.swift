import Foundation
import JSONText
import LanguageModels
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService

/// Foundation parses the JSON of the log and of histories.
@Suite("The form of events and messages in Redis")
struct LogCodecTests {
    static let pieces = [
        "a", "Hello ", "\"", "\\", "/", "\n", "\r", "\r\n", "\t", "\u{0}", "\u{1}", "\u{8}", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}",
        "\u{1F}", "\u{7F}",
        "\u{80}", "\u{85}", "\u{2027}", "\u{2028}", "\u{2029}", "\u{202A}", "Â", "â", "é", "日本", "😀", "👩‍👩‍👧", "\u{FEFF}", "\u{FFFE}",
        "\u{10FFFF}", "\\u2028", "data: x\n\n",
    ]

    private static let session = SessionID.unique()

    static func text(_ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0...24, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    }

    /// Returns the name and the value of the field that an event becomes.
    private static func field(_ event: TurnEvent) throws -> (name: String, value: ByteBuffer) {
        var batch = LoggedEvents(firstSequence: 1)
        LogCodec.append(event, to: &batch)
        var fields: [(name: String, value: ByteBuffer)] = []
        batch.forEach { fields.append(($0.rawValue, $1)) }
        try #require(fields.count == 1)
        return fields[0]
    }

    private static func events(_ text: String, _ random: inout SeededGenerator) throws -> [TurnEvent] {
        let arguments = try CheckedJSON(parsing: ByteBuffer(string: JSON.object(["key \(text)": .string(text)]).text)).buffer
        var summary = StepSummary(
            status: [.completed, .waiting, .failed, .cancelled].randomElement(using: &random) ?? .completed, session: session, step: 7)
        var failure = StepFailure(text, code: text, isRetryable: .random(using: &random))
        if .random(using: &random) {
            (failure.upstreamCode, failure.retryAfter) = (text, 7)
            (summary.historyLength, summary.pendingCalls, summary.finishReason) = (5, ["a", text], text)
            summary.usage = TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: .random(using: &random) ? 0 : nil)
            summary.metadata = arguments
        }
        return [
            .textDelta(text), .reasoningDelta(text), .text(text, isFinal: .random(using: &random)),
            .toolCall(IssuedCall(id: text, name: text, arguments: arguments), isLast: .random(using: &random)),
            .restarted(StepRestart(step: 8, replaces: 7, reason: .replicaLost)), .failed(failure), .finished(summary),
        ]
    }

    /// An owner emits an event, and its followers emit the event that they read from the log. A
    /// client gets the same event.
    @Test("An event is read from the log as it was written", arguments: 0..<5)
    func whatTheLogHoldsIsTheEvent(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<80 {
            let text = Self.text(&random)
            for event in try Self.events(text, &random) {
                let (name, value) = try Self.field(event)
                let read = try #require(try LogCodec.event(name, value, of: Self.session), "seed \(seed): \(text.debugDescription)")
                // The JSON texts may differ in escaped line separators. The decoded values are
                // equal.
                #expect(try Self.field(read).value == value, "seed \(seed): \(text.debugDescription)")
                switch event {
                case .toolCall, .finished: break
                default: #expect(read == event, "seed \(seed)")
                }
            }
        }
    }

    @Test("The form of the log does not change")
    func theLogsFormStaysAsItIs() throws {
        let session = try #require(SessionID("s"))
        let usage = TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 8, reasoningTokens: 3)
        let forms: [(TurnEvent, String, String)] = [
            (.textDelta("a\"b"), "token", "a\"b"), (.reasoningDelta("hm"), "reasoning", "hm"),
            (.text("a\"b", isFinal: true), "message", #"{"type":"assistant_message","content":"a\"b","token":"","is_final":true}"#),
            (
                .toolCall(IssuedCall(id: "c", name: "f", arguments: ByteBuffer(string: "{}")), isLast: false), "message",
                #"{"type":"tool_call","call_id":"c","tool_name":"f","arguments":{},"is_final":false}"#
            ),
            (
                .failed(StepFailure("why", code: "c", isRetryable: false, upstreamCode: "u", retryAfter: 7)), "error",
                #"{"type":"error","error":"why","code":"c","upstream_code":"u","retry_after":7,"retryable":false,"is_final":true}"#
            ),
            (
                .restarted(StepRestart(step: 2, replaces: 1, reason: .replicaLost)), "restart",
                #"{"type":"restart","step":2,"replaces":1,"reason":"replica_lost"}"#
            ),
            (
                .finished(StepSummary(status: .failed, session: session, step: 1)), "done",
                #"{"status":"failed","session_id":"s","step":1,"pending_calls":[],"finish_reason":null}"#
            ),
            (
                .finished(
                    StepSummary(
                        status: .waiting, session: session, step: 1, historyLength: 3, pendingCalls: ["a", "b"],
                        finishReason: "tool_calls", usage: usage, metadata: ByteBuffer(string: #"{"a":1}"#))),
                "done",
                #"{"status":"waiting","session_id":"s","step":1,"history_length":3,"pending_calls":["a","b"],"finish_reason":"tool_calls","usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"cached_tokens":8,"reasoning_tokens":3},"metadata":{"a":1}}"#
            ),
        ]
        for (event, name, text) in forms {
            let field = try Self.field(event)
            #expect(field.name == name && String(buffer: field.value) == text)
        }
    }

    /// Earlier builds wrote fewer members at a step's end.
    @Test("The end of a step of an earlier build is read")
    func anEndWithoutAReasonIsRead() throws {
        let value = ByteBuffer(string: #"{"status":"completed","session_id":"s","step":1,"history_length":3,"pending_calls":[]}"#)
        let session = try #require(SessionID("s"))
        let summary = StepSummary(status: .completed, session: session, step: 1, historyLength: 3)
        #expect(try LogCodec.event("done", value, of: session) == .finished(summary))
    }

    @Test("Foundation reads stored messages back unchanged", arguments: 0..<3)
    func storedMessagesAreWhatFoundationReads(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<80 {
            let text = Self.text(&random)
            let bytes = ByteBuffer(string: text)
            let comment = Comment(rawValue: "seed \(seed): \(text.debugDescription)")
            let arguments: JSON = ["key \(text)": .string(text)]
            let call = ToolCall(id: text, name: text, arguments: try CheckedJSON(parsing: ByteBuffer(string: arguments.text)).buffer)
            #expect(try JSON(parsing: ChatMessage.system(text)) == ["role": "system", "content": .string(text)], comment)
            #expect(
                try JSON(parsing: ChatMessage.tool(callID: text, content: bytes)) == [
                    "role": "tool", "tool_call_id": .string(text), "content": .string(text),
                ], comment)
            let stored: JSON = [
                "id": .string(text), "type": "function",
                "function": ["name": .string(text), "arguments": .string(String(buffer: call.arguments))],
            ]
            #expect(
                try JSON(parsing: ChatMessage.assistant(text: bytes, calls: [call, call]))
                    == ["role": "assistant", "content": text.isEmpty ? nil : .string(text), "tool_calls": [stored, stored]], comment)
            #expect(
                try JSON(parsing: ChatMessage.assistant(text: bytes, calls: [])) == ["role": "assistant", "content": .string(text)],
                comment)
        }
    }

    @Test("Event text written by Foundation is read back unchanged", arguments: 0..<3)
    func whatFoundationWritesIsRead(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed) &+ 100)
        for _ in 0..<200 {
            let text = Self.text(&random)
            let encoded = try JSONEncoder().encode([text])
            let slice = try JSONSlice(parsing: ByteBuffer(bytes: encoded))
            #expect(Array(slice.elements).first?.string == text, "seed \(seed): \(text.debugDescription)")
        }
    }

    /// The scripts read the role from the first member.
    @Test("The role is the first member of a stored message")
    func theRoleComesFirst() {
        let messages = [
            ChatMessage.system("x"), ChatMessage.user(content: ByteBuffer(string: #""x""#)),
            ChatMessage.tool(callID: "c", content: ByteBuffer(string: "x")),
            ChatMessage.assistant(text: ByteBuffer(string: "x"), calls: []),
        ]
        for (message, role) in zip(messages, ["system", "user", "tool", "assistant"]) {
            #expect(String(buffer: message).hasPrefix(#"{"role":"\#(role)""#))
        }
    }

    @Test("Numbers are written in digits")
    func numbersAreWrittenInDigits() {
        var random = SeededGenerator(seed: 1)
        let numbers =
            [0, 1, 9, 10, 99, 100, -1, -10, .max, .min] + (0..<200).map { Int.random(in: .min ... .max, using: &random) >> ($0 % 64) }
        for number in numbers {
            var buffer = ByteBuffer()
            buffer.writeDecimal(number)
            #expect(String(buffer: buffer) == String(number))
        }
    }
}
