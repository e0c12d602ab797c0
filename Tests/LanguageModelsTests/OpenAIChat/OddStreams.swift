import NIOCore
import Testing

@testable import LanguageModels

/// A completion in a form that some server sends, and the same completion in the plain form.
struct OddStream: CustomTestStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    var plain = OddStream.text
    var contentType: String? = "text/event-stream"

    var testDescription: String { name }

    init(_ name: String, _ body: String, plain: String = OddStream.text, as contentType: String? = "text/event-stream") {
        self.init(name, bytes: Array(body.utf8), plain: plain)
        self.contentType = contentType
    }

    init(_ name: String, bytes: [UInt8], plain: String = OddStream.text) {
        (self.name, self.bytes, self.plain) = (name, bytes, plain)
    }

    static func events(_ chunks: [String], separator: String = "\n\n") -> String {
        chunks.map { "data: \($0)\(separator)" }.joined()
    }

    static let mark = "data: [DONE]\n\n"
    static let usage = #"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12}}"#
    static let stop = Decoded.delta("{}", finish: "stop")
    static let chunks = [
        Decoded.delta(#"{"role":"assistant","content":""}"#), Decoded.delta(#"{"content":"Grüße "}"#), Decoded.delta(#"{"content":"😀!"}"#),
        stop, usage,
    ]
    /// The plain form: text, a reason, the usage, the end mark.
    static let text = events(chunks) + mark
    /// The same without usage.
    static let bare = events(Array(chunks.dropLast())) + mark

    static let whole =
        #"{"choices":[{"message":{"role":"assistant","content":"Grüße 😀!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":12}}"#

    private static func saying(_ pieces: String..., end: String = stop) -> String {
        events(pieces.map { Decoded.delta(#"{"content":\#($0)}"#) } + [end, usage]) + mark
    }

    private static func with(_ heartbeat: String) -> String {
        text.replacing("data: {", with: heartbeat + "data: {").replacing(mark, with: heartbeat + mark)
    }

    private static func choice(_ members: String, _ reason: String = "null") -> String {
        #"{"choices":[{"index":0,\#(members),"finish_reason":\#(reason)}]}"#
    }

    // MARK: Framing

    private static let heartbeats: [String] = [
        "data: null\n\n", "data: \"\"\n\n", "data: ping\n\n", "data: [PING]\n\n", "data: []\n\n", "data\n\n", "data: \n\n",
        "event: ping\ndata: {}\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", "event: heartbeat\ndata: still here\n\n",
        ": comment\n\n", "id: 1\nretry: 5\n\n", "data: data: ping\n\n",
    ]
    private static let marks: [String] = [
        "data: [DONE] \n\n", "data:  [DONE]\n\n", "data: \"[DONE]\"\n\n", "data:[DONE]\n\n", "event: done\ndata: [DONE]\n\n",
        "data: [DONE]\n", "data: [DONE]",
    ]
    private static let labels: [String] = [
        "application/json", "text/json", "application/x-ndjson", "text/plain", "text/html", "application/octet-stream",
        "TEXT/EVENT-STREAM; charset=utf-8",
    ]
    private static let behindWhole: [String] = ["", "\n\ndata: [DONE]\n\n", "\ndata: [DONE]", "\n"]
    private static let lines: [OddStream] = [
        OddStream("single newlines", events(chunks, separator: "\n") + "data: [DONE]\n"),
        OddStream("no fields' names", chunks.map { $0 + "\n" }.joined(), as: "application/x-ndjson"),
        OddStream("three newlines", events(chunks, separator: "\n\n\n") + mark),
        OddStream("carriage returns", text.replacing("\n", with: "\r")), OddStream("both", text.replacing("\n", with: "\r\n")),
        OddStream("no last blank line", String(text.dropLast(mark.count + 1))),
        OddStream("no last newline", String(text.dropLast(mark.count + 2))),
        OddStream("blanks around", chunks.map { "data:\t  \($0)  \n\n" }.joined() + mark),
        OddStream("a byte order mark", "\u{FEFF}" + text),
        OddStream("JSON over several lines", text.replacing(#""delta":"#, with: "\ndata: \"delta\":\ndata: ")),
        OddStream("the field's name twice", text.replacing("data: {", with: "data: data: {")),
        OddStream("events without a label", text, as: nil), OddStream("whole", whole, as: "application/json"),
        OddStream("whole and pretty", whole.replacing(",", with: ",\n  ") + "\n\n" + mark),
        OddStream("whole in an event", "data: \(whole)\n\n" + mark),
        OddStream("whole behind blanks", "\n \n" + whole, as: "application/json"),
    ]

    static let framings: [OddStream] = {
        var streams = lines
        for heartbeat in heartbeats { streams.append(OddStream("heartbeat \(heartbeat.debugDescription)", with(heartbeat))) }
        for other in marks { streams.append(OddStream("end \(other.debugDescription)", text.replacing(mark, with: other))) }
        for label in labels { streams.append(OddStream("events as \(label)", text, as: label)) }
        for rest in behindWhole { streams.append(OddStream("whole, then \(rest.debugDescription)", whole + rest)) }
        return streams
    }()

    // MARK: Text

    /// The two bytes of `ü`, one in each of two chunks.
    private static let cutInBytes: [UInt8] = {
        var bytes = Array(#"data: {"choices":[{"delta":{"content":"Gr"#.utf8)
        bytes.append(0xC3)
        bytes += Array((#""}}]}"# + "\n\n" + #"data: {"choices":[{"delta":{"content":""#).utf8)
        bytes.append(0xBC)
        bytes += Array((#"ße 😀!"}}]}"# + "\n\n").utf8)
        return bytes + Array((events([stop, usage]) + mark).utf8)
    }()

    static let texts: [OddStream] = [
        OddStream("halves of a pair", saying(#""Grüße \ud83d""#, #""\ude00!""#)),
        OddStream("halves alone", saying(#""Grüße ""#, #""\ud83d""#, #""\uDE00""#, #""!""#)),
        OddStream(
            "bytes of a character",
            bytes: cutInBytes),
        OddStream("a list of parts", saying(#"[{"type":"text","text":"Grüße "},"😀"]"#, #"["!"]"#)),
        OddStream("parts with halves", saying(#"[{"type":"text","text":"Grüße \ud83d"},{"type":"text","text":"\ude00!"}]"#)),
        OddStream(
            "a message beside the delta",
            events([
                choice(#""delta":{"content":"Grüße "},"message":{"content":"Grüße "}"#),
                choice(#""message":{"content":"Grüße 😀!"},"delta":{"content":"😀!"}"#), stop, usage,
            ]) + mark),
        OddStream(
            "the whole message at the end",
            events([
                choice(#""delta":{"content":"Grüße "}"#), choice(#""delta":{"content":"😀!"}"#),
                choice(#""message":{"content":"Grüße 😀!"}"#, #""stop""#), usage,
            ]) + mark),
        OddStream("null for choices", events(chunks + [#"{"choices":null}"#, #"{"choices":[null]}"#]) + mark),
    ]

    // MARK: Reasons

    private static let everywhere: [String] = [#""null""#, #""""#, #""None""#, #""stop""#, #""STOP""#, "7"]
    private static let words: [String] = ["end_turn", "eos", "eos_token", "stop_sequence", "COMPLETE", "FINISH_REASON_STOP"]

    static let reasons: [OddStream] = {
        var streams: [OddStream] = []
        for word in everywhere {
            let body = text.replacing(#""finish_reason":null"#, with: #""finish_reason":\#(word)"#)
            streams.append(OddStream("the reason \(word) in every chunk", body))
        }
        for word in words { streams.append(OddStream("the reason \(word)", text.replacing(#""stop""#, with: "\"\(word)\""))) }
        return streams
    }()

    // MARK: Usage

    private static func counted(_ pieces: String...) -> String {
        bare.replacing(mark, with: events(pieces.map { #"{"choices":[],"usage":\#($0)}"# }) + mark)
    }
    private static let counts = #"{"prompt_tokens":9,"completion_tokens":12}"#

    private static let noUsages: [String] = [#""""#, "[]", "{}", "null", "7"]

    static let usages: [OddStream] = {
        var streams: [OddStream] = [
            OddStream("usage that grows", counted(#"{"prompt_tokens":9,"completion_tokens":1}"#, #"{"completion_tokens":7}"#, counts)),
            OddStream("usage in pieces", counted(#"{"prompt_tokens":9}"#, #"{"prompt_tokens":null,"completion_tokens":12.0}"#)),
            OddStream("usage in a choice", bare.replacing(#""finish_reason":"stop""#, with: #""finish_reason":"stop","usage":\#(counts)"#)),
            OddStream("usage in every chunk", text.replacing("]}", with: #"],"usage":{}}"#)),
        ]
        for odd in noUsages {
            streams.append(OddStream("usage \(odd) behind the numbers", counted(counts, odd)))
            streams.append(OddStream("usage \(odd) before the numbers", counted(odd, counts)))
            streams.append(OddStream("usage \(odd) alone", counted(odd), plain: bare))
        }
        return streams
    }()

    // MARK: Calls

    private static func calling(_ entries: String..., end: String = "tool_calls") -> String {
        events(entries.map { Decoded.delta(#"{"tool_calls":\#($0)}"#) } + [Decoded.delta("{}", finish: end)]) + mark
    }

    private static func call(_ members: String, _ name: String?, _ arguments: String) -> String {
        #"[{\#(members)"function":{\#(name.map { #""name":"\#($0)","# } ?? "")"arguments":\#(arguments)}}]"#
    }

    private static let path = #""{\"path\":\"a\"}""#
    private static let emoji = #""{\"text\":\"😀\"}""#
    /// The plain form: two calls with their arguments in pieces.
    static let calls = calling(
        call(#""index":0,"id":"c1","type":"function","#, "read_file", #""""#), call(#""index":0,"#, nil, #""{\"path\"""#),
        call(#""index":0,"#, nil, #"":\"a\"}""#), call(#""index":1,"id":"c2","type":"function","#, "echo", #""""#),
        call(#""index":1,"#, nil, emoji))
    private static let one = calling(call(#""index":0,"id":"c1","#, "read_file", path))
    private static let other = #""{\"path\":\"b\"}""#
    /// Two calls of one tool.
    private static let twice = calling(
        call(#""index":0,"id":"c1","#, "read_file", path), call(#""index":1,"id":"c2","#, "read_file", other))
    private static let none = calling(call(#""index":0,"id":"c1","#, "read_file", #""{}""#))

    /// Placeholders for the ids of two calls.
    private static let ids: [(name: String, first: String, second: String)] = [
        ("other ids", #""id":"c1","#, #""id":"c2","#), ("empty ids", #""id":"","#, #""id":"","#), ("no ids", "", ""),
        ("the same id", #""id":"x","#, #""id":"x","#), ("the tools' names as ids", #""id":"read_file","#, #""id":"echo","#),
    ]
    private static let nothings: [String] = [
        "null", #""""#, #""null""#, #""\"\"""#, #""[]""#, "[]", "{}", #""{}{}""#, #"" ""#,
    ]
    private static let callWords: [String] = ["stop", "STOP", "function_call", "tool_use", "eos", "end_turn", "unknown"]

    private static let callForms: [OddStream] = [
        OddStream(
            "the next call in pieces, the index is always 0",
            calling(
                call(#""index":0,"#, "read_file", path), call(#""index":0,"#, "echo", #""{\"text\"""#),
                call(#""index":0,"#, nil, #"":\"😀\"}""#)), plain: calls),
        OddStream(
            "a new id and the name on every fragment",
            calling(
                call(#""index":0,"id":"a","#, "read_file", #""{\"pa""#), call(#""index":0,"id":"b","#, "read_file", #""th\":""#),
                call(#""index":0,"id":"c","#, "read_file", #""\"a\"}""#), call(#""index":1,"id":"d","#, "echo", emoji)), plain: calls),
        OddStream(
            "an index for every fragment",
            calling(
                call(#""index":0,"id":"c1","#, "read_file", #""{\"pa""#), call(#""index":1,"#, nil, #""th\":""#),
                call(#""index":2,"id":"c1","#, nil, #""\"a\"}""#)), plain: one),
        OddStream(
            "a name in pieces",
            calling(
                call(#""index":0,"id":"c1","#, "read_", #""""#), call(#""index":0,"#, "file", #""""#), call(#""index":0,"#, nil, path)),
            plain: one),
        OddStream(
            "a name that grows",
            calling(
                call(#""index":0,"id":"c1","#, "read", #""""#), call(#""index":0,"id":"c1","#, "read_file", #""""#),
                call(#""index":0,"#, nil, path)), plain: one),
        OddStream(
            "the name and id on every fragment",
            calling(
                call(#""index":0,"id":"c1","#, "read_file", #""{\"path\"""#),
                call(#""index":0,"id":"c1","#, "read_file", #"":\"a\"}""#),
                call(#""index":0,"id":"c1","#, "read_file", #""""#)), plain: one),
        OddStream(
            "the whole call once more",
            calling(
                call(#""index":0,"id":"c1","#, "read_file", path),
                call(#""index":0,"id":"c1","#, "read_file", #""{ \"path\": \"a\" }""#)),
            plain: one),
        OddStream(
            "the arguments once more", calling(call(#""index":0,"id":"c1","#, "read_file", path), call(#""index":0,"#, nil, path)),
            plain: one),
        OddStream(
            "an empty object first",
            calling(
                call(#""index":0,"id":"c1","#, "read_file", #""{}""#), call(#""index":0,"#, nil, #""{\"path\":""#),
                call(#""index":0,"#, nil, #""\"a\"}""#)), plain: one),
        OddStream(
            "an empty object first, under the call's own name",
            calling(call(#""index":0,"id":"c1","#, "read_file", #""{}""#), call(#""index":0,"id":"c1","#, "read_file", path)),
            plain: one),
        OddStream("an object", calling(call(#""index":0,"id":"c1","#, "read_file", #"{ "path" : "a" }"#)), plain: one),
        OddStream(
            "an object in a string", calling(call(#""index":0,"id":"c1","#, "read_file", #""\"{\\\"path\\\":\\\"a\\\"}\"""#)),
            plain: one),
        OddStream("calls as an object", calling(call(#""index":0,"id":"c1","#, "read_file", path).trimmingBrackets), plain: one),
        OddStream(
            "null among the calls", calling("[null," + call(#""index":0,"id":"c1","#, "read_file", path).trimmingBrackets + ",null]"),
            plain: one),
        OddStream(
            "the retired form",
            events([
                Decoded.delta(#"{"function_call":{"name":"read_file","arguments":\#(path)}}"#),
                Decoded.delta("{}", finish: "function_call"),
            ]) + mark, plain: one),
        OddStream(
            "halves of a pair",
            calling(
                call(#""index":0,"id":"c1","#, "read_file", path), call(#""index":1,"id":"c2","#, "echo", #""{\"text\":\"\ud83d""#),
                call(#""index":1,"#, nil, #""\ude00\"}""#)), plain: calls),
        OddStream(
            "escapes in the arguments' own JSON",
            calling(call(#""index":0,"id":"c1","#, "read_file", #""{\"path\":\"\\ud83d\"}""#)),
            plain: calling(call(#""index":0,"id":"c1","#, "read_file", #""{\"path\":\"\\ufffd\"}""#))),
    ]

    static let toolCalls: [OddStream] = {
        var streams = callForms
        let zero = #""index":0,"#
        for (name, first, second) in ids {
            let one = call(first + zero, "read_file", path)
            streams.append(OddStream("\(name), the index is 0", calling(one, call(second + zero, "echo", emoji)), plain: calls))
            streams.append(
                OddStream("\(name), one tool, the index is 0", calling(one, call(second + zero, "read_file", other)), plain: twice))
            let bare = call(first, "read_file", path)
            streams.append(OddStream("\(name), no index", calling(bare, call(second, "echo", emoji)), plain: calls))
            streams.append(OddStream("\(name), one tool, no index", calling(bare, call(second, "read_file", other)), plain: twice))
        }
        for nothing in nothings {
            let body = calling(call(#""index":0,"id":"c1","#, "read_file", nothing))
            streams.append(OddStream("no arguments as \(nothing)", body, plain: none))
        }
        for word in callWords {
            streams.append(OddStream("calls that end with \(word)", calls.replacing("\"tool_calls\"}", with: "\"\(word)\"}"), plain: calls))
        }
        return streams
    }()

    static let all = framings + texts + reasons + usages + toolCalls
}

extension String {
    fileprivate var trimmingBrackets: String { String(dropFirst().dropLast()) }
}
