import JSONText
import NIOCore

/// Reads errors as OpenAI and others write them.
enum ErrorBody {
    /// Characters of a server's own words that go into an error.
    static let maxMessageLength = 300

    /// Returns the error of a response with another status than 2xx.
    static func httpError(status: Int, body: ByteBuffer) -> LLMError {
        let json = json(in: body)
        let facts = json.map { ErrorFacts($0) } ?? ErrorFacts()
        let words = json.map { ErrorWords.sentence(in: $0) } ?? ErrorWords.plain(body)
        let verdict = ErrorClass.of(status: status, facts: facts, words: words ?? "")
        let code = verdict.code ?? .rejected
        let summary =
            switch code {
            case .rateLimited: "The model's server refuses more requests for now (HTTP \(status))"
            case .timeout: "The model's server gave up waiting (HTTP \(status))"
            case .unavailable: "The model's server failed (HTTP \(status))"
            case .quotaSpent: "The account at the model's server has nothing left (HTTP \(status))"
            case .contextFull: "The conversation is longer than the model takes (HTTP \(status))"
            case .rejected, .upstream, .length, .contentFilter, .invalidResponse: "The model's server rejected the request (HTTP \(status))"
            }
        var error = described(summary, code, words)
        error.status = status
        error.upstreamCode = verdict.upstreamCode
        error.upstreamRequest = facts.requestID
        return error
    }

    static func described(_ summary: String, _ code: LLMError.Code, _ words: String?) -> LLMError {
        var error = LLMError(code, words.map { "\(summary): \($0)" } ?? "\(summary).")
        error.isQuote = words != nil
        return error
    }

    /// Returns a body as JSON, which may follow a byte order mark or be the data of a server-sent
    /// event.
    private static func json(in body: ByteBuffer) -> JSONSlice? {
        let text = ErrorWords.trimmed(body)
        if let json = try? JSONSlice(parsing: text) { return json }
        for line in text.readableBytesView.split(separator: UInt8(ascii: "\n")) where line.starts(with: "data:".utf8) {
            if let json = try? JSONSlice(parsing: ByteBuffer(bytes: line.dropFirst(5))) { return json }
        }
        return nil
    }
}
