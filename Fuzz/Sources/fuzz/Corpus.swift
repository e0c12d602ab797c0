/// Small, valid inputs to start from, and words that the parsers know.
enum Corpus {
    static let numbers = [
        "0", "-1", "1", "000", "099", "100", "101", "199", "600", "999", "65536", "2147483647", "2147483648", "4294967296",
        "9007199254740991",
        "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615",
        "99999999999999999999999", "1e3", "1e400", "0.5", "-0",
    ]

    // MARK: Models

    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    private static let token = #"data: {"id":"x","choices":[{"index":0,"delta":{"content":"so far"},"finish_reason":null}]}"# + "\n\n"
    private static let call =
        #"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"echo","arguments":"{\"text\":\"x\"}"}}]}}]}"#
        + "\n\n"
    private static let end =
        #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"# + "\n\n"
        + #"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"# + "\n\n" + "data: [DONE]\n\n"
    private static let whole =
        #"{"choices":[{"message":{"role":"assistant","content":"hi","tool_calls":[{"id":"c","function":{"name":"echo","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#

    private static func chunked(_ parts: [String], trailers: String = "") -> String {
        head + "Transfer-Encoding: chunked\r\n\r\n"
            + parts.map { String($0.utf8.count, radix: 16) + "\r\n" + $0 + "\r\n" }.joined() + "0\r\n" + trailers + "\r\n"
    }

    private static func sized(_ body: String, _ head: String = head) -> String {
        head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    }

    /// Responses in the forms in which some servers differ from the plain one.
    private static let oddAnswers = [
        sized(token.replacing("\n\n", with: "\n") + end.replacing("\n\n", with: "\n")), sized(whole + "\n\ndata: [DONE]\n\n"),
        sized("data: null\n\ndata: \"\"\n\ndata: ping\n\ndata: [PING]\n\ndata: []\n\n" + token + end),
        sized(
            #"data: {"choices":[{"delta":{"content":"a\ud83d"}}]}"# + "\n\n" + #"data: {"choices":[{"delta":{"content":"\ude00"}}]}"#
                + "\n\n" + end),
        sized(
            #"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"echo","arguments":"{}"}}]}}]}"# + "\n\n"
                + #"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"echo","arguments":"{\"text\":\"\\ud83d\"}"}}]}}]}"#
                + "\n\n" + end),
        sized(
            #"data: {"choices":[{"delta":{"tool_calls":{"function":{"name":"ec"}}},"message":{"content":"x"}}],"usage":[]}"# + "\n\n" + end),
        sized(token + #"data: {"choices":[{"delta":{},"finish_reason":"error","error":{"code":502,"message":"x"}}]}"# + "\n\n"),
        sized(token + #"{"object":"error","message":"x"}"# + "\n\ndata: [DONE]\n\n"), sized("event: error\ndata: plain words\n\n"),
        sized(token.replacing("null}", with: "\"stop\"}") + token + #"data: {"base_resp":{"status_code":1004,"status_msg":"x"}}"#),
        sized(token + end, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"),
        sized(
            #"data: {"choices":[],"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":null}}"#
                + "\n\n" + token + end),
    ]

    static let answers = plainAnswers + oddAnswers

    private static let plainAnswers = [
        sized(token + token + end), chunked([token, call, end]), chunked([token, end], trailers: "X: y\r\n"),
        head + "Connection: close\r\n\r\n" + token + end, sized(token + end) + sized(token + call + end),
        chunked([token, end]) + chunked([call, end]), "HTTP/1.1 100 Continue\r\n\r\n" + sized(token + end),
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + chunked([token, end]),
        sized(whole, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"),
        sized(#"{"error":{"message":"slow down","code":429}}"#, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"),
        sized("<html>", "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n"), "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" + sized(token + end),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n" + token + end, "HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nhi",
        sized("event: error\ndata: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n"),
        sized(": comment\r\n\r\nretry: 1\r\nid: 2\r\n\r\n" + end),
        "HTTP/1.1 307 Moved\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
    ]

    static let answerWords = [
        "HTTP/1.1 ", "HTTP/1.0 200 OK\r\n", "HTTP/2.0 200\r\n", " 000 ", " 099 ", " 101 ", " 199 ", " 600 ", "\r\n", "\r\n\r\n", "\n\n",
        "\r", "\0", ":",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Content-Length: 5\r\n", "Connection: close\r\n",
        "Connection: keep-alive\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\n", "0\r\n\r\n", "5\r\nhello\r\n",
        "ffffffffffffffff\r\n", "1;x=y\r\n",
        "data: ", "data:[DONE]\n\n", "event: error\n", "id: 1\n", "\u{FEFF}", #""tool_calls":[{"index":9}]"#, #""delta":null"#,
        #""usage":{}"#, "[", "{", "]", "}",
        #""finish_reason":"length""#, #""finish_reason":"MALFORMED_FUNCTION_CALL""#, #""finish_reason":"null""#, "data: [PING]\n\n",
        #""error":{"message":"x"}"#, #""detail":"x""#, "{\"error\":\"x\"}\n", #""arguments":{}"#, #"{}{"a":1}"#, #"\udc00"#,
        "\"", "\\", #"\ud800"#, #"\u0000"#, "null", "true", #""index":-1"#, #""arguments":"{""#, "\u{2028}",
    ]

    // MARK: Clients

    static let requests = [
        #"{"session_id":"s-1","message":{"content":"hello"}}"#,
        #"{"session_id":"s-1","message":{"type":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},"expected_length":3}"#,
        #"{"session_id":"s-1","message":{"type":"tool_result","call_id":"c1","tool_name":"echo","result":"x"}}"#,
        #"{"session_id":"s-1","message":{"type":"tool_result","call_id":"c1","result":{"a":[1,2.5e3,null,true]},"is_error":true}}"#,
        #"{"session_id":"s-1","message":{"type":"retry"},"on_conflict":"interrupt","on_disconnect":"cancel"}"#,
        #"{"session_id":"a:b_c.D","message":{"content":"é👩‍👩‍👧\u2028\ud83d\ude00"},"model":"m","metadata":{"trace":"t"},"tools":[{"type":"function","function":{"name":"echo","parameters":{"type":"object","properties":{}}}}]}"#,
        #"{"role":"user","content":"hello","session_id":"s"}"#, "1-2.abcd\n1700000000000-s-1\ns-1\n", "[[[[{}]]]]",
        #"{"a":{"a":{"a":{"a":[]}}}}"#,
        #"  [ -0 , 1E+2 , 123456789012345678901234567890 , "\"\\\/\b\f\n\r\t\u00e9" ]  "#, #"{"step":3}"#,
        #"{"history_length":5,"expected_length":7}"#,
    ]

    static let requestWords = [
        #""session_id":"#, #""message":"#, #""content":"#, #""type":"tool_result","#, #""type":"retry""#, #""call_id":"c","#, #""result":"#,
        #""tools":[]"#,
        #""metadata":{}"#, #""expected_length":"#, #""on_conflict":"wait""#, "{", "}", "[", "]", ",", ":", "\"", "\\", #"\u"#, #"\ud800"#,
        #"\udc00"#, #"\u0000"#,
        "null", "true", "false", "-", ".", "e", "\0", "\u{7F}", "\u{2028}", "\u{FEFF}", " ", "\n", "-.", "..", ".abcd", "-1.z",
    ]

    // MARK: Redis

    private static func array(_ elements: [String]) -> String { "*\(elements.count)\r\n" + elements.joined() }
    private static func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }
    private static func bulks(_ texts: String...) -> String { array(texts.map(bulk)) }

    private static let time = bulks("1700000000", "123456")

    static let replies = [
        "+OK\r\n", "-ERR unknown command\r\n", ":5\r\n", "$-1\r\n", "*-1\r\n", bulk("text"),
        time + bulks("running", "3", "1700000003000", "", "2", "1"),
        time + array([bulk("idle"), "$-1\r\n", "$-1\r\n", "$-1\r\n", "$-1\r\n", "$-1\r\n"]),
        array([bulk("started"), ":1700000000000\r\n", ":3\r\n", ":2\r\n", bulk("m"), bulk("[]"), bulk("{}"), bulk("cancel")]),
        array([
            array([bulk("3-0"), bulks("nonce", "abcd", "owner", "r", "replaces", "2", "restart", "{}")]),
            array([bulk("3-2"), bulks("token", "so ", "token", "far")]), array([bulk("3-4"), bulks("message", "{}", "done", "{}")]),
        ]),
        bulks(
            #"{"step":1,"status":"completed","owner":"r","history":[0,3],"usage":{"prompt_tokens":9,"completion_tokens":12}}"#,
            #"{"step":2,"status":"failed","history":[3,3],"error":"llm_error"}"#),
        bulks(
            #"{"step":2,"status":"waiting","history":[1,3]}"#,
            #"{"role":"assistant","content":"x","tool_calls":[{"id":"c","function":{"name":"echo","arguments":"{}"}}]}"#,
            #"{"role":"tool","tool_call_id":"c","content":"y"}"#),
        "-MOVED 3999 127.0.0.1:6381\r\n", "-ASK 1 :7000\r\n", "-TRYAGAIN x\r\n",
        array([
            array([":0\r\n", ":8191\r\n", array([bulk("h"), ":7000\r\n", bulk("id")])]),
            array([":8192\r\n", ":16383\r\n", array([bulk(""), ":7001\r\n"])]),
        ]),
        bulks("127.0.0.1", "6379"), bulk("redis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"),
        bulk("mymaster 10.0.0.1 6379 10.0.0.2 6379"), bulk("s-1 7"),
        array([":1\r\n", array([array([]), ":7\r\n"]), "$-1\r\n", "-ERR x\r\n"]),
    ]

    static let replyWords = [
        "*3\r\n", "$5\r\n", ":1\r\n", "+OK\r\n", "-ERR x\r\n", "*-1\r\n", "$-1\r\n", "*0\r\n", "$0\r\n\r\n", "\r\n", "%1\r\n", "_\r\n",
        "#t\r\n", "3-0", "1-", "--",
        "MOVED ", "ASK ", "running", "nonce", "replaces", "token", "restart", "done", "{", "[", "\"step\":", "\"history\":[", "\0",
        "script:",
    ]
}
