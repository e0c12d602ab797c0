import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import LanguageModels

/// An error arrives within a completion that began without errors.
@Suite("Errors inside a stream")
struct StreamErrorTests {
    static let sentence = "Upstream overloaded"
    private static let begun = OddStream.events([Decoded.delta(#"{"content":"half a sen"}"#)])

    /// Servers send these objects in place of the next chunk. `S` is the error's sentence.
    private static let objects: [String] = [
        #"{"error":{"message":"S","code":502}}"#, #"{"error":"S"}"#,
        #"{"object":"error","message":"S","type":"ServerError","code":500}"#,
        #"{"type":"error","error":{"type":"overloaded_error","message":"S"}}"#, #"{"detail":"S"}"#,
        #"{"text":"S","error_code":50001}"#, #"{"error_code":17,"error_msg":"S"}"#, #"{"error_code":"E1","msg":"S"}"#,
        #"{"base_resp":{"status_code":1004,"status_msg":"S"}}"#, #"{"code":"Throttling","message":"S","request_id":"r"}"#,
        #"{"success":false,"message":"S"}"#, #"{"object":"error","choices":[],"message":"S"}"#, #"[{"error":{"message":"S"}}]"#,
        #"{"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":502,"message":"S"}}]}"#,
        #"{"choices":[{"index":0,"error":{"message":"S"}}]}"#,
        #"{"error":{"message":"S"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
    ]
    /// Errors that are not chunks, and two errors in place of the rest of an event.
    private static let others: [String] = [
        "event: error\ndata: S\n\n", "event: error\ndata: \"S\"\n\n",
        #"data: {"choices":[{"delta":{"content":"ha{"error":{"message":"S"}}"# + "\n\n",
        #"data: {"choices":[{"delta":{"con"# + "\n" + #"data: {"error":{"message":"S"}}"# + "\n\n",
        #"data: {"choices":[{"delta":{"con"# + "\n" + #"{"detail":"S"}"# + "\n\n",
    ]

    static let errors: [String] = {
        var events = others
        for json in objects {
            events += ["data: \(json)\n\n", "event: error\ndata: \(json)\n\n"]
            if json.hasPrefix("{") { events.append("\(json)\n\n") }
        }
        return events.map { $0.replacing("\"S\"", with: "\"\(sentence)\"").replacing("data: S", with: "data: \(sentence)") }
    }()

    /// The error gets the same class as an HTTP response with the same error.
    @Test("The server's error sentence is kept", arguments: errors)
    func theServersSentenceIsTold(error: String) {
        let isOfServer = [#":502"#, #":500}"#, "overloaded_error"].contains { error.contains($0) }
        let code = isOfServer ? "llm_unavailable" : "llm_error"
        for rest in ["", OddStream.mark, OddStream.text] {
            for beginning in [Self.begun, ""] {
                let body = beginning + error + rest
                for length in [1, 7, body.utf8.count] {
                    let heard = Heard(Heard.pieces(Array(body.utf8), every: length))
                    #expect(heard.status == .failed && heard.code == code, "\(body.debugDescription): \(heard)")
                    #expect(heard.message.contains(Self.sentence), "\(heard)")
                    #expect(heard.text == (beginning.isEmpty ? "" : "half a sen"))
                }
            }
        }
    }

    @Test("The finish reason beside an error is kept")
    func theReasonBesideAnErrorIsTold() {
        let error = #"{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"x"}}]}"#
        #expect(Heard(OddStream.events([error])).reason == "error")
    }

    @Test("An error event without text is an error")
    func anErrorEventWithoutWordsIsOne() {
        for data in ["data: \n", "", "data: [DONE]\n"] {
            let heard = Heard(Self.begun + "event: error\n\(data.isEmpty ? "data\n" : data)\n" + OddStream.text)
            #expect(heard.status == .failed && heard.code == "llm_error", "\(heard)")
        }
    }

    /// Some servers send these members with every chunk, with values that mean success.
    @Test(
        "Members that only look like an error are ignored",
        arguments: [
            #"{"error_code":0,"choices":[]}"#, #"{"error":null,"choices":[]}"#, #"{"error_code":0,"text":"x"}"#,
            #"{"base_resp":{"status_code":0,"status_msg":"success"}}"#, #"{"code":200,"message":"ok"}"#, #"{"code":"","message":""}"#,
            #"{"detail":null}"#, #"{"type":"ping"}"#, #"{"object":"chat.completion.chunk"}"#, #"{"success":true,"message":"x"}"#,
        ]
    )
    func whatLooksLikeAnErrorAndIsNone(chunk: String) {
        #expect(Heard(OddStream.events([chunk]) + OddStream.text) == Heard(OddStream.text))
    }

    @Test("A whole body that is an error is reported", arguments: ["application/json", "text/event-stream"])
    func aWholeBodyThatIsAnErrorTellsIt(contentType: String) {
        for json in [#"{"error":{"message":"because"}}"#, #"{"detail":"because"}"#, #"{"object":"error","message":"because"}"#] {
            for rest in ["", "\n\ndata: [DONE]\n\n"] {
                let heard = Heard(json + rest, contentType: contentType)
                #expect(heard.code == "llm_error" && heard.message.contains("because"), "\(heard)")
            }
        }
    }
}
