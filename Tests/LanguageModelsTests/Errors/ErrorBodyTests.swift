import NIOCore
import Testing

@testable import LanguageModels

/// The reader finds an error's sentence, code and class in every server's form.
@Suite("Error bodies of model servers")
struct ErrorBodyTests {
    private func error(_ status: Int, _ body: String) -> LLMError { ErrorBody.httpError(status: status, body: ByteBuffer(string: body)) }

    // MARK: Sentences

    @Test(
        "The error sentence is found in each form of body",
        arguments: [
            #"{"error":{"message":"why","type":"t","code":null}}"#, #"{"error":"why"}"#, #"{"message":"why"}"#, #"{"Message":"why"}"#,
            #"{"detail":"why"}"#, #"{"msg":"why"}"#, #"{"error_msg":"why","error_code":336003}"#, #"{"errorMessage":"why"}"#,
            #"{"error":"invalid_request","error_description":"why"}"#, #"{"error":"Bad Request","message":"why","status":400}"#,
            #"{"detail":[{"loc":["body"],"msg":"why","type":"missing"}]}"#, #"{"message":{"detail":[{"msg":"why"}]}}"#,
            #"{"success":false,"errors":[{"code":10000,"message":"why"}],"messages":[],"result":null}"#, #"[{"error":{"message":"why"}}]"#,
            #"{"base_resp":{"status_code":1004,"status_msg":"why"}}"#, #"{"Response":{"Error":{"Code":"X","Message":"why"}}}"#,
            #"{"title":"Bad","detail":"why","status":400}"#, #"{"error":{"code":400,"errors":[{"message":"why"}]}}"#,
            #"{"error":{"message":"{\"error\":{\"message\":\"why\"}}"}}"#, #"{"error":true,"message":"why"}"#, #"{"message":["why"]}"#,
            #"{"data":{"error":"why"}}"#, #""why""#, "why", " \r\nwhy\n", "\u{FEFF}{\"error\":\"why\"}",
            "data: {\"error\":{\"message\":\"why\"}}\n\n",
            "event: error\ndata: {\"detail\":\"why\"}\n\n",
        ]
    )
    func theSentenceIsFound(body: String) {
        for status in [400, 422, 500] {
            let message = error(status, body).message
            #expect(message.hasSuffix("(HTTP \(status)): why"), "\(message)")
        }
    }

    @Test(
        "A body without a sentence yields none",
        arguments: [
            "", "<html><h1>502</h1></html>", "\n <!DOCTYPE html>", #"{"error":{"mess"#, "[", "{}", "[]", "null", "7", "true",
            #"{"error":{}}"#,
            #"{"error":null,"message":null}"#, #"{"error":"<html>busy</html>"}"#, #"{"message":"  "}"#, #"{"error":{"code":400}}"#,
        ]
    )
    func whatHasNoSentenceGetsNone(body: String) {
        #expect(error(502, body).message == "The model's server failed (HTTP 502).")
    }

    @Test("Validation errors name the member, and gateway errors name the server behind")
    func validatorsNameTheMemberAndGatewaysTheServerBehind() {
        let validator = #"{"detail":[{"loc":["body","a",0,"b"],"msg":"no"},{"loc":["body"],"msg":"nor this"}]}"#
        #expect(error(422, validator).message.hasSuffix(": no (a.0.b); nor this"))
        let gateway = #"{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"{\"error\":{\"message\":\"busy\"}}"}}}"#
        #expect(error(502, gateway).message.hasSuffix(": Provider returned error: busy"))
        #expect(
            error(400, #"{"errors":{"model":["is required"],"stop":["too long","odd"]}}"#).message.hasSuffix(
                ": model: is required; stop: too long; odd"))
    }

    @Test("Deep and long bodies are read within bounds")
    func noBodyIsTooDeepOrTooLong() {
        let deep = String(repeating: #"{"error":"#, count: 100) + #""x""# + String(repeating: "}", count: 100)
        #expect(error(500, deep).message == "The model's server failed (HTTP 500).")
        let wide = #"{"detail":[\#((0..<2000).map { #"{"msg":"m\#($0)"}"# }.joined(separator: ","))]}"#
        #expect(error(422, wide).message.count < ErrorBody.maxMessageLength + 80)
    }

    // MARK: Classes

    @Test(
        "A spent quota is not retryable",
        arguments: [
            (429, #"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#, "insufficient_quota"),
            (429, #"{"error":{"code":"billing_hard_limit_reached","message":"m"}}"#, "billing_hard_limit_reached"),
            (
                429,
                #"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"workspace_spend_limit_reached"}}}"#,
                "workspace_spend_limit_reached"
            ),
            (429, #"{"error":{"code":"1308","message":"Usage limit reached for 5 hour."}}"#, "1308"),
            (429, #"{"error":{"code":1113,"message":"Insufficient balance or no resource package."}}"#, "1113"),
            (
                400, #"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access"}}"#,
                "invalid_request_error"
            ),
            (
                402, #"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
                "invalid_request_error"
            ),
            (402, "pay first", nil), (403, #"{"error":{"message":"m","code":"insufficient_user_quota"}}"#, "insufficient_user_quota"),
        ] as [(Int, String, String?)]
    )
    func aSpentQuotaIsNotTriedAgain(status: Int, body: String, code: String?) {
        let error = error(status, body)
        #expect(error.code == .quotaSpent && !error.isRetryable && error.upstreamCode == code, "\(error) \(error.upstreamCode ?? "")")
    }

    @Test(
        "A conversation that is too long has its own code",
        arguments: [
            (400, #"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#),
            (400, #"{"error":{"message":"m","code":"context_length_exceeded"}}"#),
            (400, #"{"message":"prompt is too long: 9 tokens > 8 maximum"}"#),
            (
                400,
                #"[{"error":{"code":400,"message":"The input token count exceeds the maximum number of tokens allowed 8.","status":"INVALID_ARGUMENT"}}]"#
            ),
            (400, #"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#),
            (413, "Payload Too Large"), (422, #"{"error":"Input validation error: `inputs` must have less; prompt too long"}"#),
            (400, #"{"error":{"message":"Your request exceeded model token limit: 262144","type":"invalid_request_error"}}"#),
            (500, #"{"error":"context length exceeded"}"#),
        ]
    )
    func aConversationThatIsTooLongHasACodeOfItsOwn(status: Int, body: String) {
        let error = error(status, body)
        #expect(error.code == .contextFull && !error.isRetryable, "\(error)")
    }

    /// Rate limits, refused keys and missing models belong to no other class.
    @Test(
        "Every other error gets its code from its status",
        arguments: [
            (429, #"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#, LLMError.Code.rateLimited),
            (429, #"{"error":{"code":"1302","message":"too many at once"}}"#, .rateLimited),
            (
                429,
                #"{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 38s.","status":"RESOURCE_EXHAUSTED"}}"#,
                .rateLimited
            ),
            (401, #"{"error":{"message":"no access to the context window","code":"invalid_api_key"}}"#, .rejected),
            (404, #"{"error":{"message":"no such model","code":"model_not_found"}}"#, .rejected),
            (400, #"{"error":{"message":"temperature is too high","code":"1308x"}}"#, .rejected),
            (503, #"{"error":{"message":"insufficient_quota is a word here"}}"#, .unavailable), (408, "slow", .timeout),
            (500, #"{"error":{"code":"insufficient_quota"}}"#, .unavailable),
        ]
    )
    func everythingElseGoesByItsStatus(status: Int, body: String, code: LLMError.Code) {
        #expect(error(status, body).code == code)
    }

    /// Only the body decides, because the response has status 200.
    @Test(
        "An error in a stream gets the class of the same HTTP error",
        arguments: [
            (#"{"message":"m","code":529}"#, LLMError.Code.unavailable), (#"{"message":"m","code":"429"}"#, .rateLimited),
            (#"{"message":"m","status":404}"#, .rejected),
            (#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, .unavailable),
            (#"{"type":"rate_limit_error","message":"m"}"#, .rateLimited), (#"{"message":"m","type":"server_error"}"#, .unavailable),
            (#"{"object":"error","type":"BadRequestError","message":"m","code":40303}"#, .rejected),
            (#"{"code":"insufficient_quota","message":"m"}"#, .quotaSpent),
            (#"{"code":"context_length_exceeded","message":"m"}"#, .contextFull),
            (#"{"message":"prompt is too long: m"}"#, .contextFull), (#"{"message":"m"}"#, .upstream), (#""m""#, .upstream),
        ]
    )
    func errorsInStreamsAreOfTheSameClasses(body: String, code: LLMError.Code) {
        let error = ErrorBody.streamError(ByteBuffer(string: body))
        #expect(error.code == code && error.message.hasPrefix("The model reported an error: ") && error.message.hasSuffix("m"), "\(error)")
    }

    @Test("The plain text of an error event is kept")
    func plainWordsOfAnErrorEventAreTold() {
        #expect(ErrorBody.streamError(ByteBuffer(string: "it broke")).message == "The model reported an error: it broke")
    }

    // MARK: Codes

    @Test(
        "The server's own error code is kept",
        arguments: [
            (#"{"error":{"message":"m","type":"t","code":"c"}}"#, "c"), (#"{"error":{"message":"m","type":"t","code":null}}"#, "t"),
            (#"{"error":{"message":"m","code":400,"status":"INVALID_ARGUMENT"}}"#, "INVALID_ARGUMENT"),
            (#"{"error_code":336003,"error_msg":"m"}"#, "336003"),
            (#"{"type":"error","error":{"type":"api_error","message":"m"}}"#, "api_error"),
            (#"{"errors":[{"code":10000,"message":"m"}]}"#, "10000"),
            (#"{"__type":"ValidationException","Message":"m"}"#, "ValidationException"), (#"{"message":"m","type":"e","code":"400"}"#, "e"),
            (#"{"error":"m"}"#, nil), ("m", nil), (#"{"code":"","type":{},"message":"m"}"#, nil),
            (#"{"code":"\#(String(repeating: "c", count: 129))"}"#, nil),
        ] as [(String, String?)]
    )
    func theServersOwnCodeIsTold(body: String, code: String?) {
        #expect(error(400, body).upstreamCode == code)
    }

    @Test("The server's request id is found in the body as well")
    func theServersNameForTheRequestIsFoundInTheBodyToo() {
        #expect(error(500, #"{"type":"error","error":{"message":"m"},"request_id":"req_1"}"#).upstreamRequest == "req_1")
        #expect(error(500, #"{"request_id":"two words"}"#).upstreamRequest == nil)
    }

    @Test("Errors of validators and templates call for another form of request")
    func validatorsAndTemplatesAskForAnotherRequest() {
        let body = #"{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#
        func asksFor(_ status: Int, _ body: String) -> Concessions {
            Concessions.askedFor(status: status, body: ByteBuffer(string: body))
        }
        #expect([400, 401, 422, 500].map { asksFor($0, body) } == [.streamOptions, [], .streamOptions, []])
        let template = #"{"message":"Conversation roles must alternate user/assistant/user/assistant/..."}"#
        #expect([400, 401, 422, 500].map { asksFor($0, template) } == [.strictTurns, [], .strictTurns, .strictTurns])
        #expect(asksFor(400, #"{"message":"Unexpected role 'user' after role 'tool'"}"#) == .strictTurns)
        #expect(asksFor(400, #"{"error":"no such model"}"#) == [])
    }
}
