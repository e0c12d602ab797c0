import Foundation
import JSONText
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// Foundation reads the bytes back.
@Suite("The bytes of events")
struct EventEncodingTests {
    static let pieces = [
        "a", "Hello ", "\"", "\\", "/", "\n", "\r", "\r\n", "\t", "\u{0}", "\u{1}", "\u{8}", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}",
        "\u{1F}", "\u{7F}",
        "\u{80}", "\u{85}", "\u{2027}", "\u{2028}", "\u{2029}", "\u{202A}", "Â", "â", "é", "日本", "😀", "👩‍👩‍👧", "\u{FEFF}", "\u{FFFE}",
        "\u{10FFFF}", "\\u2028", "data: x\n\n",
    ]

    static func text(_ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0...24, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    }

    /// Returns the text of one event. Checks its lines for every kind of line reader.
    static func read(_ buffer: ByteBuffer, _ comment: Comment? = nil) throws -> (fields: [String: String], data: JSON) {
        let text = String(buffer: buffer)
        // Python's splitlines, which the gateway's client uses, splits at all of these.
        let ends = text.unicodeScalars.filter { "\n\r\u{B}\u{C}\u{1C}\u{1D}\u{1E}\u{85}\u{2028}\u{2029}".unicodeScalars.contains($0) }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(ends.count == lines.count - 1, comment)
        #expect(lines.suffix(2) == ["", ""], comment)
        var fields: [String: String] = [:]
        for line in lines.dropLast(2) {
            let parts = line.split(separator: ": ", maxSplits: 1)
            try #require(parts.count == 2, comment)
            #expect(fields[String(parts[0])] == nil, comment)
            fields[String(parts[0])] = String(parts[1])
        }
        return (fields, try JSON(try #require(fields["data"], comment)))
    }

    static func hasNull(_ json: JSON) -> Bool {
        switch json {
        case .null: true
        case .array(let elements): elements.contains(where: hasNull)
        case .object(let members): members.values.contains(where: hasNull)
        case .bool, .number, .string: false
        }
    }

    @Test("Foundation reads random texts back unchanged", arguments: 0..<5)
    func randomTextsAreWhatFoundationReads(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let encoder = EventEncoder(step: 7, nonce: "k3f9")
        for number in 0..<80 {
            let text = Self.text(&random)
            let comment = Comment(rawValue: "seed \(seed), text \(number): \(text.debugDescription)")
            var buffer = ByteBuffer()
            encoder.write(token: text, sequence: number, into: &buffer)
            let token = try Self.read(buffer, comment)
            #expect(token.fields["id"] == "7-\(number).k3f9" && token.fields["event"] == "message", comment)
            #expect(token.data == ["type": "assistant_message", "token": .string(text), "is_final": false], comment)

            let bytes = ByteBuffer(string: text)
            // JSON as a model or a client writes it, with unescaped separators.
            let arguments: JSON = ["key \(text)": .string(text)]
            let call = ToolCall(id: text, name: text, arguments: try CheckedJSON(parsing: ByteBuffer(string: arguments.text)).buffer)
            let expected: [(LoggedEvents.Name, ByteBuffer, JSON)] = [
                (
                    .message, StreamChunk.message(content: bytes, isFinal: true),
                    ["type": "assistant_message", "content": .string(text), "token": "", "is_final": true]
                ),
                (
                    .message, StreamChunk.toolCall(id: text, name: text, arguments: call.arguments, isFinal: false),
                    ["type": "tool_call", "call_id": .string(text), "tool_name": .string(text), "arguments": arguments, "is_final": false]
                ),
                (
                    .error, StreamChunk.error(text, code: text, retryable: true),
                    ["type": "error", "error": .string(text), "code": .string(text), "retryable": true, "is_final": true]
                ),
            ]
            for (name, json, value) in expected {
                buffer.clear()
                encoder.write(name, json: json, sequence: 1, into: &buffer)
                let event = try Self.read(buffer, comment)
                #expect(event.data == value, comment)
                #expect(event.fields["event"] == name.rawValue && event.fields["id"] == "7-1.k3f9", comment)
                buffer.clear()
                EventEncoder.write(unlogged: name, json: json, into: &buffer)
                let unlogged = try Self.read(buffer, comment)
                #expect(unlogged.data == value && unlogged.fields["id"] == nil, comment)
            }
            // The stored text is the same.
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
                try JSON(parsing: ChatMessage.assistant(text: bytes, calls: [])) == ["role": "assistant", "content": .string(text)], comment
            )
        }
    }

    /// Both directions agree with Foundation.
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

    /// The scripts tell messages apart by the beginning of their text.
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

    @Test("The done event has its documented members", arguments: [StepStatus.completed, .waiting, .failed, .cancelled])
    func doneHasItsShape(status: StepStatus) throws {
        let session = try #require(SessionID("s-1"))
        let least = try JSON(parsing: DoneEvent(status: status, session: session, step: 7).json)
        #expect(least == ["status": .string(status.rawValue), "session_id": "s-1", "step": 7, "pending_calls": [], "finish_reason": nil])
        let all = DoneEvent(
            status: status, session: session, step: 7, historyLength: 5, pendingCalls: ["a", "b \"\u{2028}"],
            finishReason: "a \"word\"\u{2028}",
            usage: TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 0, reasoningTokens: 3),
            metadata: ByteBuffer(string: "{\"a\":[{}],\n \"b\":\"\u{2029}\"}"))
        #expect(
            try JSON(parsing: all.json) == [
                "status": .string(status.rawValue), "session_id": "s-1", "step": 7, "history_length": 5,
                "pending_calls": ["a", "b \"\u{2028}"],
                "finish_reason": "a \"word\"\u{2028}",
                "usage": ["prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21, "cached_tokens": 0, "reasoning_tokens": 3],
                "metadata": ["a": [[:]], "b": "\u{2029}"],
            ])
        var buffer = ByteBuffer()
        EventEncoder.write(unlogged: .done, json: all.json, into: &buffer)
        #expect(try Self.read(buffer).fields["event"] == "done")
    }

    /// The finish reason is always present, and may be null.
    @Test("No member is null but the finish reason")
    func noFieldIsNull() throws {
        let session = try #require(SessionID("s"))
        let all = [
            StreamChunk.message(content: ByteBuffer(), isFinal: true), StreamChunk.error("e", code: "c", retryable: false),
            StreamChunk.toolCall(id: "c", name: "n", arguments: ByteBuffer(string: "{}"), isFinal: true),
            DoneEvent(status: .failed, session: session, step: 1, finishReason: "error").json,
        ]
        for json in all { #expect(!Self.hasNull(try JSON(parsing: json))) }
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

    @Test("A stream is collected into one completion")
    func aStreamIsReadAsOneAnswer() async {
        let stream = ClientStream()
        let encoder = EventEncoder(step: 1, nonce: "abcd")
        stream.write { encoder.write(token: "Hel", sequence: 1, into: &$0) }
        stream.write {
            encoder.write(.message, json: StreamChunk.message(content: ByteBuffer(string: "Hello"), isFinal: true), sequence: 2, into: &$0)
        }
        let cut = ClientStream()
        cut.write { encoder.write(token: "Hel", sequence: 1, into: &$0) }
        stream.write { $0.writeString("event: done\ndata: {\"status\":\"completed\"}\n\n") }
        stream.finish()
        cut.finish()
        let answer = await WholeAnswer(reading: stream)
        #expect(answer.content == "Hello")
        #expect(answer.error == nil)
        let unknown = await WholeAnswer(reading: cut)
        #expect(unknown.isUnknown && unknown.error?.code == "outcome_unknown")
        let failed = ClientStream()
        failed.write {
            EventEncoder.write(unlogged: .error, json: StreamChunk.error("why", code: "llm_timeout", retryable: true), into: &$0)
        }
        failed.finish()
        let failure = await WholeAnswer(reading: failed).error
        #expect(failure?.code == "llm_timeout" && failure?.message == "why")
    }
}
