import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import agent_server

@Suite("Request bodies")
struct TurnRequestTests {
    static func parse(_ body: String, key: String? = nil) throws(RequestError) -> TurnRequest {
        try TurnRequest(body: ByteBuffer(string: body), tenant: .standard, as: .tenant, idempotencyKey: key)
    }

    /// Returns a valid request with one more member.
    static func with(_ member: String) throws(RequestError) -> TurnRequest {
        try parse(#"{"session_id":"s","message":{"content":"x"},\#(member)}"#)
    }

    static func message(_ message: String) throws(RequestError) -> BeginStep.Input {
        try parse(#"{"session_id":"s","message":\#(message)}"#).input
    }

    static func user(_ input: BeginStep.Input) -> String? { if case .user(let json) = input { String(buffer: json) } else { nil } }

    @Test("An id that no event has is refused", arguments: ["x", "1-1", "0-1.aaaa"])
    func anIDThatIsNotAnEventsIsRefused(header: String) {
        #expect(throws: RequestError.self) { try EventID(header: header) }
    }

    // MARK: Valid

    @Test("Every field is read")
    func everyFieldIsRead() throws {
        let request = try Self.parse(
            #"""
            { "session_id" : "s-1.A_b:c", "message" : {"type": "user_message", "content": "Hello", "role": "user"},
              "tools": [ {"type": "function", "function": {"name": "f"}} ], "model": "m-1", "on_conflict": "reject",
              "on_disconnect": "cancel", "expected_length": 4, "metadata": {"a": 12345678901234567890}, "unknown": 1 }
            """#, key: "k")
        #expect(request.session.text == "s-1.A_b:c")
        #expect(Self.user(request.input) == #"{"role":"user","content":"Hello"}"#)
        #expect(request.settings.model == "m-1")
        #expect(request.settings.tools.map { String(buffer: $0) } == #"[{"type":"function","function":{"name":"f"}}]"#)
        #expect(request.settings.metadata.map { String(buffer: $0) } == #"{"a":12345678901234567890}"#)
        #expect(request.settings.onDisconnect == .cancel)
        #expect(request.onConflict == .reject)
        #expect(request.expectedLength == 4)
        #expect(request.idempotency?.key == "k")
    }

    @Test("Missing fields take the server's defaults")
    func whatIsNotSaidIsLeftToTheServer() throws {
        for body in [
            #"{"session_id":"s","message":{"content":"x"}}"#,
            #"{"session_id":"s","message":{"content":"x","type":null},"tools":null,"model":null,"on_conflict":null,"on_disconnect":null,"expected_length":null,"metadata":null}"#,
        ] {
            let request = try Self.parse(body)
            #expect(request.settings == TurnSettings())
            #expect(request.onConflict == .reject)
            #expect(request.expectedLength == nil)
            #expect(request.idempotency == nil)
            #expect(Self.user(request.input) == #"{"role":"user","content":"x"}"#)
        }
    }

    @Test("An empty list of tools is kept")
    func anEmptyListOfToolsIsKept() throws {
        #expect(try Self.with(#""tools":[ ]"#).settings.tools.map { String(buffer: $0) } == "[]")
    }

    /// The server passes the content on byte by byte.
    @Test(
        "Content keeps its bytes",
        arguments: [
            #""Grüße \u00e9 \/ 😀""#, #""""#,
            #"[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x","n":12345678901234567890}}]"#,
        ]
    )
    func contentIsKeptAsItIs(content: String) throws {
        #expect(Self.user(try Self.message(#"{"content":\#(content)}"#)) == #"{"role":"user","content":\#(content)}"#)
    }

    @Test("The last of repeated keys counts")
    func ofRepeatedKeysTheLastOneCounts() throws {
        let request = try Self.parse(
            #"{"session_id":"a","session_id":"b","message":{"content":"x"},"message":{"content":"y","content":"z"},"model":"m","mod\u0065l":"n"}"#
        )
        #expect(request.session.text == "b")
        #expect(Self.user(request.input) == #"{"role":"user","content":"z"}"#)
        #expect(request.settings.model == "n")
    }

    @Test(
        "A result is text or the text of its JSON",
        arguments: [
            (#""text \u2028""#, "text \u{2028}"), (#""""#, ""), ("null", "null"), ("7", "7"), ("true", "true"),
            (#"{ "a" : [ 1 , 2 ] }"#, #"{"a":[1,2]}"#),
            ("[]", "[]"), ("12345678901234567890.0", "12345678901234567890.0"),
        ]
    )
    func aResultIsTextOrTheTextOfItsJSON(result: String, text: String) throws {
        guard case .toolResult(let json, "c 1", nil) = try Self.message(#"{"type":"tool_result","call_id":"c 1","result":\#(result)}"#)
        else {
            Issue.record("not a result")
            return
        }
        #expect(try JSON(parsing: json) == ["role": "tool", "tool_call_id": "c 1", "content": .string(text)])
    }

    /// The server passes content parts, images included, on unchanged.
    @Test("A result may be content parts", arguments: ["", #","result":null"#, #","result":null,"error":null"#])
    func aResultMayBeContentParts(others: String) throws {
        let parts = #"[{"type":"text","text":"a \u00e9"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]"#
        let input = try Self.message(#"{"type":"tool_result","call_id":"c","content":\#(parts)\#(others)}"#)
        guard case .toolResult(let json, "c", nil) = input else {
            Issue.record("\(input)")
            return
        }
        #expect(String(buffer: json) == #"{"role":"tool","tool_call_id":"c","content":\#(parts)}"#)
    }

    @Test("Other content beside a result is ignored")
    func aResultWithOtherContentIsThatResult() throws {
        guard case .toolResult(let json, _, _) = try Self.message(#"{"type":"tool_result","call_id":"c","content":"","result":"r"}"#) else {
            Issue.record("not a result")
            return
        }
        #expect(try JSON(parsing: json)["content"] == "r")
    }

    @Test("A result may name its tool and have a null error")
    func aResultMayNameItsToolAndHaveANullError() throws {
        let input = try Self.message(#"{"type":"tool_result","call_id":"c","tool_name":"echo","result":"x","error":null}"#)
        guard case .toolResult(_, "c", "echo") = input else {
            Issue.record("\(input)")
            return
        }
    }

    @Test("An error becomes a result that says so")
    func anErrorIsAResultThatSaysSo() throws {
        for message in [
            #"{"type":"tool_result","call_id":"c","error":"file not found"}"#,
            #"{"type":"tool_result","call_id":"c","error":"file not found","result":null,"tool_name":null}"#,
        ] {
            guard case .toolResult(let json, _, nil) = try Self.message(message) else {
                Issue.record("not a result")
                return
            }
            #expect(try JSON(parsing: json)["content"] == "error: file not found")
        }
    }

    @Test("A retry needs no content")
    func aRetryNeedsNothing() throws {
        guard case .retry = try Self.message(#"{"type":"retry"}"#) else {
            Issue.record("not a retry")
            return
        }
    }

    // MARK: Invalid

    @Test(
        "The error names the field",
        arguments: [
            (#""session_id":7"#, "session_id"), (#""session_id":"""#, "session_id"), (#""session_id":"a b""#, "session_id"),
            (#""session_id":"a{b}""#, "session_id"),
            (#""session_id":"\u00e9""#, "session_id"), (#""session_id":["s"]"#, "session_id"), (#""message":"text""#, "message"),
            (#""message":[]"#, "message"),
            (#""tools":{}"#, "tools"), (#""tools":[7]"#, "tools[0]"),
            (#""tools":[{"type":"function","function":{"name":"f"}},{"type":"x"}]"#, "tools[1].type"),
            (#""tools":[{"type":"function","function":{}}]"#, "tools[0].function.name"), (#""model":7"#, "model"),
            (#""model":"""#, "model"),
            (#""on_conflict":"explode""#, "on_conflict"), (#""on_conflict":7"#, "on_conflict"),
            (#""on_disconnect":"stay""#, "on_disconnect"),
            (#""on_disconnect":true"#, "on_disconnect"), (#""expected_length":-1"#, "expected_length"),
            (#""expected_length":1.5"#, "expected_length"),
            (#""expected_length":"3""#, "expected_length"), (#""expected_length":1e300"#, "expected_length"),
            (#""metadata":[]"#, "metadata"),
            (#""metadata":"x""#, "metadata"),
        ]
    )
    func theErrorNamesTheField(member: String, field: String) {
        let error = #expect(throws: RequestError.self) { try Self.with(member) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.description.hasPrefix(field) == true, "\(error?.description ?? "")")
    }

    @Test(
        "The error names the field of the message",
        arguments: [
            ("7", "message"), ("{}", "message.content"), (#"{"content":null}"#, "message.content"), (#"{"content":7}"#, "message.content"),
            (#"{"content":{}}"#, "message.content"), (#"{"content":[]}"#, "message.content"), (#"{"content":["x"]}"#, "message.content[0]"),
            (#"{"content":[{"type":"text","text":"x"},{"text":"x"}]}"#, "message.content[1]"),
            (#"{"content":[{"type":""}]}"#, "message.content[0]"),
            (#"{"type":"shout","content":"x"}"#, "message.type"), (#"{"type":7,"content":"x"}"#, "message.type"),
            (#"{"type":"","content":"x"}"#, "message.type"),
            (#"{"type":"tool_result","result":"x"}"#, "message.call_id"),
            (#"{"type":"tool_result","call_id":null,"result":"x"}"#, "message.call_id"),
            (#"{"type":"tool_result","call_id":"","result":"x"}"#, "message.call_id"),
            (#"{"type":"tool_result","call_id":7,"result":"x"}"#, "message.call_id"),
            (#"{"type":"tool_result","call_id":"\#(String(repeating: "x", count: 129))","result":"x"}"#, "message.call_id"),
            (#"{"type":"tool_result","call_id":"c","tool_name":7,"result":"x"}"#, "message.tool_name"),
            (#"{"type":"tool_result","call_id":"c","tool_name":"","result":"x"}"#, "message.tool_name"),
            (#"{"type":"tool_result","call_id":"c"}"#, "message.result"),
            (#"{"type":"tool_result","call_id":"c","error":7}"#, "message.error"),
            (#"{"type":"tool_result","call_id":"c","result":"x","error":"y"}"#, "message has both"),
        ]
    )
    func theErrorNamesTheFieldOfTheMessage(message: String, field: String) {
        let error = #expect(throws: RequestError.self) { _ = try Self.message(message) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.description.hasPrefix(field) == true, "\(error?.description ?? "")")
    }

    @Test("Lengths are bounded")
    func lengthsAreBounded() throws {
        #expect(
            try Self.parse(#"{"session_id":"\#(String(repeating: "s", count: 128))","message":{"content":""}}"#).session.text.count == 128)
        #expect(throws: RequestError.self) {
            try Self.parse(#"{"session_id":"\#(String(repeating: "s", count: 129))","message":{"content":""}}"#)
        }
        #expect(try Self.with(#""model":"\#(String(repeating: "m", count: 256))""#).settings.model?.count == 256)
        #expect(throws: RequestError.self) { try Self.with(#""model":"\#(String(repeating: "m", count: 257))""#) }
        let body = #"{"session_id":"s","message":{"content":""}}"#
        #expect(try Self.parse(body, key: String(repeating: "k", count: 128)).idempotency != nil)
        for key in ["", String(repeating: "k", count: 129)] {
            let error = #expect(throws: RequestError.self) { try Self.parse(body, key: key) }
            #expect(error?.description.contains("Idempotency-Key") == true)
        }
    }

    @Test(
        "The error names a missing field",
        arguments: [
            (#"{"message":{"content":"x"}}"#, "session_id"), (#"{"session_id":"s"}"#, "message"),
            (#"{"session_id":null,"message":null}"#, "session_id"), ("{}", "session_id"),
        ]
    )
    func whatIsMissingIsNamed(body: String, field: String) {
        let error = #expect(throws: RequestError.self) { try Self.parse(body) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.description == "\(field) is missing")
    }

    @Test(
        "A body that is not JSON is refused",
        arguments: [
            "", " ", "{", "{}{}", "nonsense", #"{"session_id":"s",}"#, "{'a':1}", "\u{FEFF}{}", #"{"a":"\ud800"}"#, #"{"a":01}"#,
            "{\"a\":\"\n\"}",
        ]
    )
    func whatIsNotJSONIsRefused(body: String) {
        #expect(throws: RequestError.self) { try Self.parse(body) }
        let error = #expect(throws: RequestError.self) {
            try TurnRequest(legacyBody: ByteBuffer(string: body), tenant: .standard, as: .tenant)
        }
        #expect(error?.code == .invalidJSON)
    }

    @Test("A body that is not an object is refused", arguments: ["[]", "7", "null", #""text""#])
    func whatIsNoObjectIsRefused(body: String) {
        #expect(throws: RequestError.self) { try Self.parse(body) }
        #expect(throws: RequestError.self) { try TurnRequest(legacyBody: ByteBuffer(string: body), tenant: .standard, as: .tenant) }
    }

    @Test("Nesting is bounded")
    func nestingIsBounded() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(try Self.with(#""x":\#(nested(100))"#).session.text == "s")
        let error = #expect(throws: RequestError.self) { try Self.with(#""x":\#(nested(100_000))"#) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("Bytes that are not UTF-8 are refused")
    func bytesThatAreNotUTF8AreRefused() {
        var body = ByteBuffer(string: #"{"session_id":"s","message":{"content":""#)
        body.writeBytes([0xFF, 0xFE])
        body.writeString(#""}}"#)
        #expect(throws: RequestError.self) { try TurnRequest(body: body, tenant: .standard, as: .tenant) }
    }

    /// Different requests have different digests.
    @Test("The digest covers the whole body without whitespace")
    func theDigestIsOfTheWholeBody() throws {
        let one = try Self.parse(#"{"session_id":"s","message":{"content":"x"}}"#, key: "k").idempotency
        #expect(try Self.parse(#"{ "session_id" : "s" , "message" : {"content":"x"} }"#, key: "k").idempotency?.digest == one?.digest)
        #expect(try Self.parse(#"{"session_id":"s","message":{"content":"y"}}"#, key: "k").idempotency?.digest != one?.digest)
        #expect(try Self.parse(#"{"session_id":"s","message":{"content":"x"},"model":"m"}"#, key: "k").idempotency?.digest != one?.digest)
    }

    // MARK: Legacy

    @Test("A legacy body is a user message without tools")
    func theLegacyBodyIsAUserMessageWithoutTools() throws {
        let request = try TurnRequest(
            legacyBody: ByteBuffer(string: #"{"role":"user","content":"Gr\u00fc\u00dfe","session_id":"s"}"#), tenant: .standard, as: .tenant
        )
        #expect(request.session.text == "s")
        #expect(Self.user(request.input) == #"{"role":"user","content":"Gr\u00fc\u00dfe"}"#)
        #expect(request.settings.tools.map { String(buffer: $0) } == "[]")
    }

    @Test("A legacy body without a session id gets a session of its own")
    func theLegacyBodyGetsASessionOfItsOwn() throws {
        let ids = try ["", #","session_id":null,"role":null"#].map {
            try TurnRequest(legacyBody: ByteBuffer(string: #"{"content":"x"\#($0)}"#), tenant: .standard, as: .tenant).session.text
        }
        #expect(ids.allSatisfy { $0.hasPrefix("legacy-") })
        #expect(Set(ids).count == 2)
    }

    @Test(
        "The error names the field of the legacy body",
        arguments: [
            (#"{"role":"user"}"#, "content"), (#"{"content":null}"#, "content"), (#"{"content":[]}"#, "content"),
            (#"{"role":"system","content":"x"}"#, "role"),
            (#"{"role":7,"content":"x"}"#, "role"), (#"{"content":"x","session_id":"a b"}"#, "session_id"),
            (#"{"content":"x","session_id":7}"#, "session_id"),
        ]
    )
    func theErrorNamesTheFieldOfTheLegacyBody(body: String, field: String) {
        let error = #expect(throws: RequestError.self) {
            try TurnRequest(legacyBody: ByteBuffer(string: body), tenant: .standard, as: .tenant)
        }
        #expect(error?.code == .invalidRequest)
        #expect(error?.description.hasPrefix(field) == true)
    }
}
