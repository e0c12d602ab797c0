import NIOCore
import Testing

@testable import LanguageModels

/// An operator's members are sent as they were written, and never replace the server's own members.
@Suite("Additional parameters of model requests")
struct RequestParametersTests {
    @Test("Members keep their text")
    func membersStayAsTheyWereWritten() throws {
        let text = #" { "reasoning_effort" : "low", "temperature":0.10, "seed":12345678901234567890, "x":{"a":[1, null]} } "#
        let parameters = try RequestParameters(parsing: text)
        #expect(
            String(buffer: parameters.json)
                == #","reasoning_effort":"low","temperature":0.10,"seed":12345678901234567890,"x":{"a":[1,null]}"#)
        #expect(try RequestParameters(parsing: "{}") == RequestParameters())
    }

    @Test(
        "An error names a parameter that cannot be added",
        arguments: [
            ("", "JSON object"), ("[]", "JSON object"), ("{", "JSON object"), (#""a""#, "JSON object"), (#"{"messages":[]}"#, "messages"),
            (#"{"a":1,"model":"m"}"#, "model"), (#"{"tools":[]}"#, "tools"), (#"{"stream":false}"#, "stream"),
            (#"{"stream_options":{}}"#, "stream_options"), (#"{"mod\u0065l":"m"}"#, "model"), (#"{"a":1,"a":2}"#, "a twice"),
        ]
    )
    func whatCannotBeAddedIsNamed(text: String, words: String) {
        let error = #expect(throws: ParameterError.self) { try RequestParameters(parsing: text) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("Parameters stand between the server's own members")
    func theyStandBetweenTheServersOwnMembers() throws {
        var form = RequestForm()
        form.parameters = try RequestParameters(parsing: #"{"temperature":0}"#)
        var request = LLMRequest.hello
        request.tools = ByteBuffer(string: "[1]")
        let body = ChatCompletionRequest.encode(request, stream: true, form: form)
        let message = #"{"role":"user","content":"hello"}"#
        let start = #"{"model":"test","messages":[\#(message)],"stream":true"#
        #expect(String(buffer: body.bytes) == start + #","stream_options":{"include_usage":true},"temperature":0,"tools":[1]}"#)
        #expect(String(buffer: body.conceding(.streamOptions).bytes) == start + #","temperature":0,"tools":[1]}"#)
        #expect(
            String(buffer: ChatCompletionRequest.encode(.hello, stream: false).bytes)
                == #"{"model":"test","messages":[\#(message)],"stream":false}"#)
    }
}
