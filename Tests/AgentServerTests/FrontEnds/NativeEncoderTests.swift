import Foundation
import JSONText
import LanguageModels
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import agent_server

/// Foundation parses the bytes of the native stream.
@Suite("The bytes of events")
struct NativeEncoderTests {
    static let pieces = [
        "a", "Hello ", "\"", "\\", "/", "\n", "\r", "\r\n", "\t", "\u{0}", "\u{1}", "\u{8}", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}",
        "\u{1F}", "\u{7F}",
        "\u{80}", "\u{85}", "\u{2027}", "\u{2028}", "\u{2029}", "\u{202A}", "Â", "â", "é", "日本", "😀", "👩‍👩‍👧", "\u{FEFF}", "\u{FFFE}",
        "\u{10FFFF}", "\\u2028", "data: x\n\n",
    ]

    static func text(_ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0...24, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    }

    /// Returns the fields of one event's bytes. Checks that every kind of line reader splits them
    /// into the same lines.
    static func read(_ buffer: ByteBuffer, _ comment: Comment? = nil) throws -> (fields: [String: String], data: JSON) {
        let text = String(buffer: buffer)
        // Python's splitlines, which the gateway's client uses, ends lines at all of these
        // characters.
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

    /// Returns the fields of an event's bytes.
    private static func read(
        _ event: TurnEvent, id: EventID? = nil, with encoder: inout NativeEncoder, _ comment: Comment? = nil
    ) throws -> (fields: [String: String], data: JSON) {
        var bytes = ByteBuffer()
        encoder.encode(event, id: id, into: &bytes)
        return try read(bytes, comment)
    }

    @Test("Foundation reads random texts back unchanged", arguments: 0..<5)
    func randomTextsAreWhatFoundationReads(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var encoder = NativeEncoder()
        for number in 0..<80 {
            let text = Self.text(&random)
            let comment = Comment(rawValue: "seed \(seed), text \(number): \(text.debugDescription)")
            // JSON as a model or a client writes it, with unescaped line separators.
            let arguments: JSON = ["key \(text)": .string(text)]
            let call = IssuedCall(id: text, name: text, arguments: try CheckedJSON(parsing: ByteBuffer(string: arguments.text)).buffer)
            let expected: [(TurnEvent, String, JSON)] = [
                (.textDelta(text), "message", ["type": "assistant_message", "token": .string(text), "is_final": false]),
                (.reasoningDelta(text), "message", ["type": "reasoning", "token": .string(text), "is_final": false]),
                (
                    .text(text, isFinal: true), "message",
                    ["type": "assistant_message", "content": .string(text), "token": "", "is_final": true]
                ),
                (
                    .toolCall(call, isLast: false), "message",
                    ["type": "tool_call", "call_id": .string(text), "tool_name": .string(text), "arguments": arguments, "is_final": false]
                ),
                (
                    .failed(StepFailure(text, code: text, isRetryable: true)), "error",
                    ["type": "error", "error": .string(text), "code": .string(text), "retryable": true, "is_final": true]
                ),
                (
                    .restarted(StepRestart(step: 8, replaces: 7, reason: .eventsGone)), "restart",
                    ["type": "restart", "step": 8, "replaces": 7, "reason": "events_gone"]
                ),
            ]
            for (event, name, value) in expected {
                // Both the step's number and the nonce vary, as after a takeover.
                let id = EventID(step: 7 + number % 2, sequence: number, nonce: number % 3 == 0 ? "k3f9" : "abcd")
                let logged = try Self.read(event, id: id, with: &encoder, comment)
                #expect(logged.data == value, comment)
                #expect(logged.fields["event"] == name && logged.fields["id"] == id.description, comment)
                let unlogged = try Self.read(event, with: &encoder, comment)
                #expect(unlogged.data == value && unlogged.fields["event"] == name && unlogged.fields["id"] == nil, comment)
            }
        }
    }

    @Test("The done event has its documented members", arguments: [StepStatus.completed, .waiting, .failed, .cancelled])
    func doneHasItsShape(status: StepStatus) throws {
        let session = try #require(SessionID("s-1"))
        var encoder = NativeEncoder()
        let least = try Self.read(.finished(StepSummary(status: status, session: session, step: 7)), with: &encoder)
        #expect(
            least.data == ["status": .string(status.rawValue), "session_id": "s-1", "step": 7, "pending_calls": [], "finish_reason": nil])
        let all = StepSummary(
            status: status, session: session, step: 7, historyLength: 5, pendingCalls: ["a", "b \"\u{2028}"],
            finishReason: "a \"word\"\u{2028}",
            usage: TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 0, reasoningTokens: 3),
            metadata: ByteBuffer(string: "{\"a\":[{}],\n \"b\":\"\u{2029}\"}"))
        let told = try Self.read(.finished(all), with: &encoder)
        #expect(
            told.data == [
                "status": .string(status.rawValue), "session_id": "s-1", "step": 7, "history_length": 5,
                "pending_calls": ["a", "b \"\u{2028}"],
                "finish_reason": "a \"word\"\u{2028}",
                "usage": ["prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21, "cached_tokens": 0, "reasoning_tokens": 3],
                "metadata": ["a": [[:]], "b": "\u{2029}"],
            ])
        #expect(told.fields["event"] == "done")
    }

    @Test("No member is null but the finish reason")
    func noFieldIsNull() throws {
        let session = try #require(SessionID("s"))
        let all: [TurnEvent] = [
            .text("", isFinal: true), .failed(StepFailure("e", code: "c", isRetryable: false)),
            .toolCall(IssuedCall(id: "c", name: "n", arguments: ByteBuffer(string: "{}")), isLast: true),
            .finished(StepSummary(status: .failed, session: session, step: 1, finishReason: "error")),
        ]
        var encoder = NativeEncoder()
        for event in all { #expect(!Self.hasNull(try Self.read(event, with: &encoder).data)) }
    }

    @Test("Signals are comments and hints")
    func signalsAreCommentsAndHints() {
        var bytes = ByteBuffer()
        for signal in [StreamSignal.keepAlive, .resumeElsewhere, .resumeLater, .credentialEnded] {
            NativeEncoder().encode(signal, into: &bytes)
        }
        #expect(
            String(buffer: bytes)
                == ": keep-alive\n\n: this replica stops\nretry: 100\n\n: nothing is heard of this step at the moment\nretry: 1000\n\n"
                + ": the credential has ended\nretry: 100\n\n")
    }
}
