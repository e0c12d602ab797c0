import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// Tool calls in the forms of OpenAI and of other servers.
@Suite("Streamed tool calls")
struct OpenAIToolCallTests {
    static func decode(_ chunks: String...) -> Decoded { Decoded(chunks: chunks + [Decoded.delta("{}", finish: "tool_calls")]) }

    static let both = [Decoded.Call("c1", "f", #"{"a":1}"#), Decoded.Call("c2", "g", #"{"b":2}"#)]

    @Test("Fragments are delivered as they arrive")
    func fragmentsAreHandedOnAsTheyCome() {
        let decoded = Self.decode(
            Decoded.calls(#"{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}"#),
            Decoded.calls(#"{"index":0,"function":{"arguments":"{\"a\""}}"#), Decoded.calls(#"{"index":0,"function":{"arguments":":1}"}}"#))
        #expect(
            decoded.events == [
                .toolCall(index: 0, id: "c1", name: "f", arguments: ""), .toolCall(index: 0, id: nil, name: nil, arguments: #"{"a""#),
                .toolCall(index: 0, id: nil, name: nil, arguments: ":1}"), .finish(.toolCalls),
            ])
    }

    /// The same two calls, in each form by which servers separate calls.
    @Test(
        "Parallel calls are told apart in each server's form",
        arguments: [
            // OpenAI's form, with interleaved fragments.
            [
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":""}}"#),
                Decoded.calls(#"{"index":1,"id":"c2","function":{"name":"g","arguments":""}}"#),
                Decoded.calls(#"{"index":1,"function":{"arguments":"{\"b\""}}"#, #"{"index":0,"function":{"arguments":"{\"a\""}}"#),
                Decoded.calls(#"{"index":0,"function":{"arguments":":1}"}}"#, #"{"index":1,"function":{"arguments":":2}"}}"#),
            ],
            // Indexes that do not begin at 0 and have gaps.
            [
                Decoded.calls(#"{"index":7,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}"#),
                Decoded.calls(#"{"index":3,"id":"c2","function":{"name":"g","arguments":"{\"b\":"}}"#),
                Decoded.calls(#"{"index":7,"function":{"arguments":"1}"}}"#), Decoded.calls(#"{"index":3,"function":{"arguments":"2}"}}"#),
            ],
            // Indexes far out of range.
            [
                Decoded.calls(#"{"index":-1,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}"#),
                Decoded.calls(#"{"index":9223372036854775807,"id":"c2","function":{"name":"g","arguments":"{\"b\":"}}"#),
                Decoded.calls(#"{"index":-1,"function":{"arguments":"1}"}}"#),
                Decoded.calls(#"{"index":9223372036854775807,"function":{"arguments":"2}"}}"#),
            ],
            [
                Decoded.calls(#"{"index":9223372036854775808,"id":"c1","function":{"name":"f","arguments":"{\"a\":1}"}}"#),
                Decoded.calls(#"{"index":"one","id":"c2","function":{"name":"g","arguments":"{\"b\":2}"}}"#),
            ],
            // All indexes are 0.
            [
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}"#),
                Decoded.calls(#"{"index":0,"function":{"arguments":"1}"}}"#),
                Decoded.calls(#"{"index":0,"id":"c2","function":{"name":"g","arguments":"{\"b\":"}}"#),
                Decoded.calls(#"{"index":0,"function":{"arguments":"2}"}}"#),
            ],
            // All indexes are 0, and the fragments are interleaved: only the ids distinguish the
            // calls.
            [
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":""}}"#),
                Decoded.calls(#"{"index":0,"id":"c2","function":{"name":"g","arguments":""}}"#),
                Decoded.calls(#"{"index":0,"id":"c1","function":{"arguments":"{\"a\":1}"}}"#),
                Decoded.calls(#"{"index":0,"id":"c2","function":{"arguments":"{\"b\":2}"}}"#),
            ],
            // Every fragment contains the id and the name.
            [
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\""}}"#),
                Decoded.calls(#"{"index":1,"id":"c2","function":{"name":"g","arguments":"{\"b\""}}"#),
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":":1}"}}"#),
                Decoded.calls(#"{"index":1,"id":"c2","function":{"name":"g","arguments":":2}"}}"#),
            ],
            // Every fragment contains a different id.
            [
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\""}}"#),
                Decoded.calls(#"{"index":0,"id":"x1","function":{"arguments":":1}"}}"#),
                Decoded.calls(#"{"index":1,"id":"c2","function":{"name":"g","arguments":"{\"b\""}}"#),
                Decoded.calls(#"{"index":1,"id":"x2","function":{"arguments":":2}"}}"#),
            ],
            // Without indexes, both calls in one chunk.
            [
                Decoded.calls(
                    #"{"id":"c1","function":{"name":"f","arguments":"{\"a\":1}"}}"#,
                    #"{"id":"c2","function":{"name":"g","arguments":"{\"b\":2}"}}"#)
            ],
            // Without indexes, one call after the other, later fragments without ids.
            [
                Decoded.calls(#"{"id":"c1","function":{"name":"f","arguments":"{\"a\""}}"#),
                Decoded.calls(#"{"function":{"arguments":":1}"}}"#),
                Decoded.calls(#"{"id":"c2","function":{"name":"g","arguments":"{\"b\""}}"#),
                Decoded.calls(#"{"id":"","function":{"arguments":":2}"}}"#),
            ],
            // Without indexes, fragments interleaved, with ids.
            [
                Decoded.calls(
                    #"{"id":"c1","function":{"name":"f","arguments":""}}"#, #"{"id":"c2","function":{"name":"g","arguments":""}}"#),
                Decoded.calls(#"{"id":"c2","function":{"arguments":"{\"b\":2}"}}"#),
                Decoded.calls(#"{"id":"c1","function":{"arguments":"{\"a\":1}"}}"#),
            ],
            // The arguments are an object.
            [
                Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":{ "a" : 1 }}}"#),
                Decoded.calls(#"{"index":1,"id":"c2","function":{"name":"g","arguments":{"b":2}}}"#),
            ],
        ]
    )
    func parallelCallsAreToldApart(chunks: [String]) {
        let decoded = Decoded(chunks: chunks + [Decoded.delta("{}", finish: "tool_calls")])
        #expect(decoded.error == nil)
        #expect(decoded.calls == Self.both)
        #expect(decoded.events.last == .finish(.toolCalls))
    }

    @Test("Calls without index and id are told apart by their names")
    func callsWithoutIndexAndIDAreToldApartByTheirNames() {
        let decoded = Self.decode(
            Decoded.calls(#"{"function":{"name":"f","arguments":{"a":1}}}"#),
            Decoded.calls(#"{"function":{"name":"f","arguments":{"a":2}}}"#))
        #expect(decoded.calls == [Decoded.Call(nil, "f", #"{"a":1}"#), Decoded.Call(nil, "f", #"{"a":2}"#)])
    }

    @Test("A late id or name is delivered once")
    func anIDOrANameThatComesLateIsStillHandedOnOnce() {
        let decoded = Self.decode(
            Decoded.calls(#"{"index":0,"function":{"arguments":"{"}}"#), Decoded.calls(#"{"index":0,"id":"c1"}"#),
            Decoded.calls(#"{"index":0,"function":{"name":"f","arguments":"}"}}"#),
            Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f"}}"#))
        #expect(decoded.calls == [Decoded.Call("c1", "f", "{}")])
        #expect(decoded.events.filter { if case .toolCall = $0 { true } else { false } }.count == 3)
    }

    @Test("The retired function_call is one call")
    func theRetiredFunctionCallIsOneCall() {
        let decoded = Self.decode(
            Decoded.delta(#"{"content":null,"function_call":{"name":"f","arguments":""}}"#),
            Decoded.delta(#"{"function_call":{"arguments":"{\"a\""}}"#),
            Decoded.delta(#"{"function_call":{"arguments":":1}"}}"#, finish: "function_call"))
        #expect(decoded.calls == [Decoded.Call(nil, "f", #"{"a":1}"#)])
        #expect(decoded.events.last == .finish(.toolCalls))
        #expect(Self.decode(Decoded.delta(#"{"content":"x","function_call":null}"#)).calls.isEmpty)
    }

    @Test(
        "Arguments of any JSON type become text",
        arguments: [("null", ""), ("[1, 2]", "[1,2]"), ("7", "7"), ("true", "true"), (#""plain""#, "plain")]
    )
    func argumentsOfAnyKindBecomeText(arguments: String, text: String) {
        let decoded = Self.decode(Decoded.calls(#"{"index":0,"id":"c","function":{"name":"f","arguments":\#(arguments)}}"#))
        #expect(decoded.calls == [Decoded.Call("c", "f", text)])
    }

    @Test("A call without a function is a call without a name")
    func aCallWithoutAFunctionIsACallWithoutAName() {
        #expect(Self.decode(Decoded.calls(#"{"index":0,"id":"c","function":7}"#)).calls == [Decoded.Call("c", nil, "")])
    }

    @Test("The number of calls is bounded", arguments: [true, false])
    func thereAreNotMoreCallsThanTheBound(inOneChunk: Bool) {
        func entries(_ count: Int) -> [String] {
            (0..<count).map { #"{"index":\#($0),"id":"c\#($0)","function":{"name":"f","arguments":"{}"}}"# }
        }
        func decode(_ count: Int) -> Decoded {
            let list = entries(count)
            let chunks = inOneChunk ? [Decoded.delta(#"{"tool_calls":[\#(list.joined(separator: ","))]}"#)] : list.map { Decoded.calls($0) }
            return Decoded(chunks: chunks + [Decoded.delta("{}", finish: "tool_calls")])
        }
        let bound = ChatCompletionChunkDecoder.maxToolCalls
        #expect(decode(bound).calls.count == bound)
        #expect(decode(bound).error == nil)
        let absurd = decode(10_000)
        #expect(absurd.error == .invalidResponse)
        #expect(absurd.calls.count == bound)
    }

    /// The fragments are in OpenAI's form.
    @Test("Random interleavings keep the calls apart", arguments: 0..<6)
    func randomInterleavingsKeepCallsApart(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<50 {
            let count = Int.random(in: 1...6, using: &random)
            let calls = (0..<count).map {
                Decoded.Call("c\($0)", "f\($0)", (0..<Int.random(in: 0...5, using: &random)).map { "\($0)." }.joined())
            }
            var queues = calls.enumerated().map { index, call in
                [#"{"index":\#(index),"id":"\#(call.id ?? "")","function":{"name":"\#(call.name ?? "")","arguments":""}}"#]
                    + call.arguments.split(separator: ".").map { #"{"index":\#(index),"function":{"arguments":"\#($0)."}}"# }
            }
            // The calls begin in order. Their other fragments arrive in any order.
            var entries = queues.indices.map { queues[$0].removeFirst() }
            while let index = queues.indices.filter({ !queues[$0].isEmpty }).randomElement(using: &random) {
                entries.append(queues[index].removeFirst())
            }
            let decoded = Decoded(chunks: entries.map { Decoded.calls($0) } + [Decoded.delta("{}", finish: "stop")])
            #expect(decoded.calls == calls, "seed \(seed): \(entries)")
        }
    }
}
