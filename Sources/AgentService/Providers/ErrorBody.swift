import JSONText
import NIOCore
import SessionStore

/// Reads errors as OpenAI and others write them.
enum ErrorBody {
    /// How much of an upstream's own words goes into an error, in characters.
    static let maxMessageLength = 300

    /// A response with another status than 2xx.
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
        error.asksFor = Concessions.askedFor(status: status, body: String(buffer: body))
        return error
    }

    static func described(_ summary: String, _ code: LLMError.Code, _ words: String?) -> LLMError {
        var error = LLMError(code, words.map { "\(summary): \($0)" } ?? "\(summary).")
        error.isQuote = words != nil
        return error
    }

    /// A body as JSON: with a byte order mark, or as the data of a server-sent event, too.
    private static func json(in body: ByteBuffer) -> JSONSlice? {
        let text = ErrorWords.trimmed(body)
        if let json = try? JSONSlice(parsing: text) { return json }
        for line in text.readableBytesView.split(separator: UInt8(ascii: "\n")) where line.starts(with: "data:".utf8) {
            if let json = try? JSONSlice(parsing: ByteBuffer(bytes: line.dropFirst(5))) { return json }
        }
        return nil
    }
}
