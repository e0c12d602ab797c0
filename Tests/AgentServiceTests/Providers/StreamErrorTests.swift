import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService

/// Errors in the middle of an answer that began well.
@Suite struct StreamErrorTests {
    static let sentence = "Upstream overloaded"
    private static let begun = OddStream.events([Decoded.delta(#"{"content":"half a sen"}"#)])

    /// What servers write in the place of the next chunk.
    static let errors: [String] =
        [
            #"{"error":{"message":"S","code":502}}"#, #"{"error":"S"}"#,
            #"{"object":"error","message":"S","type":"ServerError","code":500}"#,
            #"{"type":"error","error":{"type":"overloaded_error","message":"S"}}"#, #"{"detail":"S"}"#, #"{"detail":[{"msg":"S"}]}"#,
            #"{"text":"S","error_code":50001}"#, #"{"error_code":17,"error_msg":"S"}"#, #"{"error_code":"E1","msg":"S"}"#,
            #"{"base_resp":{"status_code":1004,"status_msg":"S"}}"#, #"{"code":"Throttling","message":"S","request_id":"r"}"#,
            #"{"success":false,"message":"S"}"#, #"{"object":"error","choices":[],"message":"S"}"#, #"[{"error":{"message":"S"}}]"#,
            #"{"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":502,"message":"S"}}]}"#,
            #"{"choices":[{"index":0,"error":{"message":"S"}}]}"#,
            #"{"error":{"message":"S"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        ].flatMap { error in
            let json = error.replacing("\"S\"", with: "\"\(sentence)\"")
            return ["data: \(json)\n\n", "event: error\ndata: \(json)\n\n"] + (json.hasPrefix("{") ? ["\(json)\n\n"] : [])
        } + [
            "event: error\ndata: \(sentence)\n\n", "event: error\ndata: \"\(sentence)\"\n\n",
            // An event that could not be finished.
            #"data: {"choices":[{"delta":{"content":"ha{"error":{"message":"\#(sentence)"}}"# + "\n\n",
            #"data: {"choices":[{"delta":{"con"# + "\n" + #"data: {"error":{"message":"\#(sentence)"}}"# + "\n\n",
            #"data: {"choices":[{"delta":{"con"# + "\n" + #"{"detail":"\#(sentence)"}"# + "\n\n",
        ]

    @Test(arguments: errors) func theServersSentenceIsTold(error: String) {
        for rest in ["", OddStream.mark, OddStream.text] {
            for beginning in [Self.begun, ""] {
                let body = beginning + error + rest
                for length in [1, 7, body.utf8.count] {
                    let heard = Heard(Heard.pieces(Array(body.utf8), every: length))
                    #expect(heard.status == .failed && heard.code == "llm_error", "\(body.debugDescription): \(heard)")
                    #expect(heard.message.contains(Self.sentence) || error.contains("msg\":\"") && error.contains("detail"), "\(heard)")
                    #expect(heard.text == (beginning.isEmpty ? "" : "half a sen"))
                }
            }
        }
    }

    @Test func theReasonBesideAnErrorIsTold() {
        let error = #"{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"x"}}]}"#
        #expect(Heard(OddStream.events([error])).reason == "error")
    }

    @Test func anErrorEventWithoutWordsIsOne() {
        for data in ["data: \n", "", "data: [DONE]\n"] {
            let heard = Heard(Self.begun + "event: error\n\(data.isEmpty ? "data\n" : data)\n" + OddStream.text)
            #expect(heard.status == .failed && heard.code == "llm_error", "\(heard)")
        }
    }

    /// Members that servers send with every chunk, and that say that all is well.
    @Test(arguments: [
        #"{"error_code":0,"choices":[]}"#, #"{"error":null,"choices":[]}"#, #"{"error_code":0,"text":"x"}"#,
        #"{"base_resp":{"status_code":0,"status_msg":"success"}}"#, #"{"code":200,"message":"ok"}"#, #"{"code":"","message":""}"#,
        #"{"detail":null}"#, #"{"type":"ping"}"#, #"{"object":"chat.completion.chunk"}"#, #"{"success":true,"message":"x"}"#,
    ])
    func whatLooksLikeAnErrorAndIsNone(chunk: String) {
        #expect(Heard(OddStream.events([chunk]) + OddStream.text) == Heard(OddStream.text))
    }

    @Test(arguments: ["application/json", "text/event-stream"]) func aWholeBodyThatIsAnErrorTellsIt(contentType: String) {
        for json in [#"{"error":{"message":"because"}}"#, #"{"detail":"because"}"#, #"{"object":"error","message":"because"}"#] {
            for rest in ["", "\n\ndata: [DONE]\n\n"] {
                let heard = Heard(json + rest, contentType: contentType)
                #expect(heard.code == "llm_error" && heard.message.contains("because"), "\(heard)")
            }
        }
    }
}
