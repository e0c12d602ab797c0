import JSONText
import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// Models stream reasoning beside their text, in pieces.
@Suite("Collecting reasoning")
struct ReasoningCollectorTests {
    private static let end = Decoded.delta("{}", finish: "stop")

    private func decode(_ chunks: [String], shows: Bool = false, recognizesRepeats: Bool = true) throws(LLMError) -> [LLMEvent] {
        var decoder = ChatCompletionChunkDecoder(showsReasoning: shows, recognizesRepeats: recognizesRepeats)
        var events: [LLMEvent] = []
        for chunk in chunks + [Self.end] { try decoder.decode(ByteBuffer(string: chunk), into: &events) }
        try decoder.finish(isMarked: true, into: &events)
        return events
    }

    private func trace(_ deltas: [String]) throws -> ReasoningTrace? {
        var found: ReasoningTrace?
        for case .reasoning(let trace) in try decode(deltas.map { Decoded.delta($0) }) { found = trace }
        return found
    }

    private func fields(_ deltas: [String]) throws -> [String: String] {
        let members = try trace(deltas)?.fields ?? []
        return Dictionary(members.map { ($0.name, String(buffer: $0.json)) }) { $1 }
    }

    @Test(
        "Pieces of text are joined, with the escapes that they came with", arguments: ["reasoning_content", "reasoning", "reasoning_text"])
    func textIsJoined(member: String) throws {
        let pieces = [#"Let \"me\" "#, #"th\u0069nk\n"#, "日本", #"\/"#, ""]
        let deltas = pieces.map { #"{"role":"assistant","content":null,"\#(member)":"\#($0)"}"# }
        #expect(try fields(deltas) == [member: #""Let \"me\" th\u0069nk\n日本\/""#])
    }

    @Test("A character that was cut in two is whole again; a half that stays alone becomes U+FFFD")
    func surrogatesAreJoined() throws {
        let collected = { (pieces: [String]) in
            var collector = ReasoningCollector()
            _ = collector.choose("reasoning")
            for piece in pieces {
                let json = ByteBuffer(string: "\"\(piece)\"")
                collector.append(text: try #require(JSONSlice.string(leading: json, behind: "")))
            }
            return collector.trace?.fields.first.map { String(buffer: $0.json) }
        }
        #expect(try collected([#"a\ud83d"#, #"\ude00b"#]) == #""a\ud83d\ude00b""#)
        #expect(try collected([#"a\ud83d"#, "b"]) == #""a\ufffdb""#)
    }

    @Test("A half character that stays alone never goes back to the model")
    func brokenMembersAreRepaired() throws {
        let deltas = [
            #"{"reasoning_details":[{"type":"x","other":"a\ud83d"}]}"#, #"{"tool_calls":[{"index":0,"id":"a","extra":{"b":"\ude00"}}]}"#,
        ]
        let found = try trace(deltas)
        #expect(found?.fields.map { String(buffer: $0.json) } == [#"[{"type":"x","other":"a\ufffd"}]"#])
        #expect(found?.calls[0]?.map { String(buffer: $0.json) } == [#"{"b":"\ufffd"}"#])
    }

    @Test("A shown character that was cut in two is shown whole")
    func shownCharactersAreWhole() throws {
        let chunks = [#"a\ud83d"#, #"\ude00b"#].map { Decoded.delta(#"{"reasoning":"\#($0)"}"#) }
        let shown = try decode(chunks, shows: true).compactMap { if case .reasoningDelta(let text) = $0 { text } else { nil } }
        #expect(shown.joined() == "a😀b")
    }

    @Test("The first of two members with the same text counts")
    func theFirstMemberCounts() throws {
        let delta = #"{"reasoning":"x","reasoning_content":"x"}"#
        #expect(try fields([delta, delta]) == ["reasoning": #""xx""#])
    }

    @Test("Details are merged by index, and a signature may come last")
    func detailsAreMerged() throws {
        let piece = { (detail: String) in #"{"content":"","reasoning_details":[\#(detail)]}"# }
        let deltas = [
            piece(#"{"type":"reasoning.text","text":"one ","format":"x","index":0,"signature":null}"#),
            piece(#"{"type":"reasoning.text","text":"two","index":0}"#),
            piece(#"{"type":"reasoning.encrypted","data":"AB==","id":"e1","index":1}"#),
            piece(#"{"type":"reasoning.text","signature":"sig","index":0}"#),
        ]
        let expected =
            #"[{"type":"reasoning.text","text":"one two","format":"x","index":0,"signature":"sig"},"#
            + #"{"type":"reasoning.encrypted","data":"AB==","id":"e1","index":1}]"#
        #expect(try fields(deltas) == ["reasoning_details": expected])
    }

    @Test("Text details without an index are joined, and others stand alone")
    func detailsWithoutAnIndex() throws {
        let deltas = [
            #"{"reasoning_details":[{"type":"reasoning.text","text":"a"}]}"#,
            #"{"reasoning_details":[{"type":"reasoning.text","text":"b"}]}"#,
            #"{"reasoning_details":[{"type":"reasoning.encrypted","data":"1"},{"type":"reasoning.encrypted","data":"2"}]}"#,
        ]
        let expected =
            #"[{"type":"reasoning.text","text":"ab"},{"type":"reasoning.encrypted","data":"1"},{"type":"reasoning.encrypted","data":"2"}]"#
        #expect(try fields(deltas) == ["reasoning_details": expected])
    }

    @Test("A call's unknown members are kept as the JSON that they are")
    func callsKeepTheirMembers() throws {
        let calls = [
            #"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"A\/b"}}}"#,
            #"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"},"other":null}"#,
        ]
        let found = try trace([#"{"tool_calls":[\#(calls.joined(separator: ","))]}"#])
        #expect(found?.fields == [])
        let member = ReasoningTrace.Member(name: "extra_content", json: ByteBuffer(string: #"{"google":{"thought_signature":"A\/b"}}"#))
        #expect(found?.calls == [0: [member]])
    }

    @Test("Reasoning is streamed to the client only if the setting says so")
    func reasoningIsShown() throws {
        let chunks = (0..<4).map { Decoded.delta(#"{"reasoning_content":"\#($0)"}"#) } + [Decoded.delta(#"{"content":"x"}"#)]
        let shown = try decode(chunks, shows: true)
        #expect(
            shown.prefix(5) == [.reasoningDelta("0"), .reasoningDelta("1"), .reasoningDelta("2"), .reasoningDelta("3"), .textDelta("x")])
        let hidden = try decode(chunks)
        #expect(hidden.first == .textDelta("x"))
        #expect(shown.suffix(2) == hidden.suffix(2))
    }

    @Test("Chunks read by template yield the same reasoning as parsed chunks", arguments: 0..<20)
    func repeatsSayTheSame(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let texts = ["a", "", #"\n"#, "日本", #"\ud83d\ude00"#]
        let deltas = (0..<40).map { _ in
            let text = texts.randomElement(using: &random) ?? "a"
            return [
                #"{"reasoning_content":"\#(text)"}"#, #"{"content":"","reasoning_content":"\#(text)"}"#, #"{"content":"\#(text)"}"#,
                #"{"content":"\#(text)","reasoning_content":"r"}"#, #"{"content":null,"reasoning":"\#(text)"}"#,
            ].randomElement(using: &random) ?? "{}"
        }
        let chunks = deltas.map { Decoded.delta($0) }
        for shows in [true, false] {
            #expect(try decode(chunks, shows: shows) == decode(chunks, shows: shows, recognizesRepeats: false))
        }
    }

    @Test("A completion with too much reasoning keeps none")
    func tooMuchIsDropped() throws {
        let piece = String(repeating: "x", count: 1 << 19)
        let delta = #"{"reasoning_content":"\#(piece)"}"#
        #expect(try fields([delta, delta])["reasoning_content"]?.utf8.count == (1 << 20) + 2)
        #expect(try trace([delta, delta, #"{"reasoning_content":"x"}"#]) == nil)
    }
}
