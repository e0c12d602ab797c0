import JSONText
import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

@Suite("Templates of repeated chunks")
struct ChunkTemplateTests {
    private static func template(_ chunk: String, _ path: (JSONSlice) -> JSONSlice?) throws -> ChunkTemplate {
        let json = ByteBuffer(string: chunk)
        let text = try #require(path(try JSONSlice(parsing: json)))
        return try #require(ChunkTemplate(json, around: text))
    }

    @Test(
        "A chunk matches a template if only its string differs",
        arguments: [
            (#"{"a":1,"b":"other","c":"x"}"#, "other"), (#"{"a":1,"b":"","c":"x"}"#, ""), (#"{"a":1,"b":"é\n\u00e9","c":"x"}"#, "é\né"),
            (#"{"a":1,"b":"x","c":"y"}"#, nil), (#"{"a":2,"b":"x","c":"x"}"#, nil), (#"{"a":1,"b":7,"c":"x"}"#, nil), ("", nil),
            (#"{"a":1,"b":"x","d":"y","c":"x"}"#, nil), (#"{"a":1,"b":"x\","c":"x"}"#, nil), (#"{"a":1,"b": "x" ,"c":"x"}"#, nil),
            (#"{"a":1,"b":","c":"x"}"#, nil), (#"{"a":1,"b":,"c":"x"}"#, nil), ("{\"a\":1,\"b\":\"x\ny\",\"c\":\"x\"}", nil),
        ]
    )
    func onlyTheStringMayDiffer(chunk: String, text: String?) throws {
        let template = try Self.template(#"{"a":1,"b":"text","c":"x"}"#) { $0["b"] }
        #expect(template.string(in: ByteBuffer(string: chunk))?.string == text)
    }

    @Test("A string of another buffer makes no template")
    func aStringOfAnotherBufferIsNoTemplate() throws {
        let other = try JSONSlice(parsing: ByteBuffer(string: #""text""#))
        #expect(ChunkTemplate(ByteBuffer(string: #"{"b":"text"}"#), around: other) == nil)
    }

    /// With and without a template, the events and the errors are the same.
    @Test("Repeated chunks decode the same with and without templates", arguments: 0..<40)
    func repeatsAreReadAsTheyWouldBeWithoutTemplate(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let chunks = Self.chunks(using: &random)
            #expect(Self.read(chunks, recognizesRepeats: true) == Self.read(chunks, recognizesRepeats: false), "seed \(seed): \(chunks)")
        }
    }

    private static func read(_ chunks: [String], recognizesRepeats: Bool) -> Decoded {
        var decoded = Decoded()
        var decoder = ChatCompletionChunkDecoder(recognizesRepeats: recognizesRepeats)
        do throws(LLMError) {
            for chunk in chunks { try decoder.decode(ByteBuffer(string: chunk), into: &decoded.events) }
            try decoder.finish(isMarked: true, into: &decoded.events)
        } catch {
            decoded.error = error.code
            decoded.message = error.message
        }
        return decoded
    }

    /// Returns a stream of mostly similar chunks, among them every kind of chunk that is only
    /// nearly similar.
    private static func chunks(using random: inout SeededGenerator) -> [String] {
        let contents = [
            #""a""#, #""two words""#, #""""#, #""é😀""#, #""line\nfeed \"quoted\" \\""#, #""\ud83d\ude00""#, #""x","refusal":"y""#,
            #""x"},"y":{"content":"z""#,
            "null", #"["p",{"text":"q"}]"#, #""x","tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]"#,
            #""x","content":"""#,
        ]
        let broken = [#""half\ud83d""#, #""open"#, "\"\u{1}\"", #""\x""#, "7"]
        let frames: [(String, String)] = [
            (#"{"id":"1","choices":[{"index":0,"delta":{"content":"#, #"},"finish_reason":null}],"usage":null}"#),
            (#"{"id":"1","choices":[{"index":0,"delta":{"refusal":null,"content":"#, #"},"finish_reason":null}]}"#),
            (#"{"id":"1","choices":[{"index":0,"delta":{"content":"#, #"},"finish_reason":"stop"}]}"#),
            (#"{"id":"1","choices":[{"index":0,"delta":{"content":"same","refusal":"#, #"}}]}"#),
            (#"{"id":"1","choices":[{"index":1,"delta":{"content":"#, #"}}]}"#),
            (#"{"choices":[{"delta":{"content":"#, #"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#),
            (#"{"choices":[{"delta":{"content":"#, #","function_call":{"name":"g","arguments":"{}"}}}]}"#),
            (#" { "choices" : [ { "delta" : { "content" : "#, #" } } ] } "#),
        ]
        var frame = frames[0]
        return (0..<Int.random(in: 1...12, using: &random)).map { _ in
            if Int.random(in: 0..<3, using: &random) == 0 { frame = frames.randomElement(using: &random) ?? frame }
            let pool = Int.random(in: 0..<30, using: &random) == 0 ? broken : contents
            return frame.0 + (pool.randomElement(using: &random) ?? "null") + frame.1
        }
    }
}
