import JSONText
import NIOCore

/// Errors within a response that began well, with status 200.
extension ErrorBody {
    /// Returns the error of an event named `error`, whose data is JSON or plain text.
    static func streamError(_ data: ByteBuffer) -> LLMError {
        if let error = try? JSONSlice(parsing: data, allowsBrokenText: true) { return streamError(error) }
        return described(summary, .upstream, ErrorWords.plain(data))
    }

    /// Returns the error of the `error` member of a chunk or a choice, or of a chunk that is an
    /// error. It gets the class that the same error gets as an HTTP response.
    ///
    /// - Parameter reason: The `finish_reason` beside it.
    static func streamError(_ error: JSONSlice, reason: FinishReason? = nil) -> LLMError {
        let facts = ErrorFacts(error)
        let words = words(in: error)
        let verdict = ErrorClass.of(status: facts.status, facts: facts, words: words ?? "")
        var described = described(summary, verdict.code ?? .upstream, words)
        described.status = facts.status
        described.upstreamCode = verdict.upstreamCode
        described.upstreamRequest = facts.requestID
        described.finishReason = reason
        return described
    }

    /// Returns the error that a chunk is; nil for any other chunk.
    ///
    /// vLLM writes `"object":"error"`, Anthropic `"type":"error"`, FastAPI `detail`, FastChat and
    /// Baidu `error_code`, MiniMax `base_resp`, DashScope and others `code` beside a message.
    static func streamError(inChunk chunk: JSONSlice) -> LLMError? {
        let isError =
            chunk["object"]?.string == "error" || chunk["type"]?.string == "error" || chunk["success"]?.bool == false
            || chunk["detail"].map { !$0.isNull } ?? false || isFailure(chunk["error_code"])
            || isFailure(chunk["base_resp"]?["status_code"]) || isFailure(chunk["code"]) && words(in: chunk) != nil
        return isError ? streamError(chunk) : nil
    }

    /// Returns an error that a server wrote into the middle of data that it could not finish; nil
    /// if there is none.
    static func streamError(within data: ByteBuffer) -> LLMError? {
        var rest = data
        var attempts = 0
        while attempts < maximumAttempts, let brace = rest.readableBytesView.firstIndex(of: UInt8(ascii: "{")) {
            rest.moveReaderIndex(to: brace)
            if beginsLikeError(rest) {
                attempts += 1
                let value = rest.getSlice(at: rest.readerIndex, length: JSONSlice.lengthOfFirstValue(in: rest))
                if let chunk = value.flatMap({ try? JSONSlice(parsing: $0, allowsBrokenText: true) }) {
                    if let error = chunk["error"], !error.isNull { return streamError(error) }
                    if let error = streamError(inChunk: chunk) { return error }
                }
            }
            rest.moveReaderIndex(forwardBy: 1)
        }
        return nil
    }

    private static let maximumAttempts = 16

    private static func beginsLikeError(_ json: ByteBuffer) -> Bool {
        let key = json.readableBytesView.dropFirst().drop { $0 == 0x20 || 0x09...0x0D ~= $0 }
        return ["\"error", "\"object\"", "\"type\"", "\"detail\"", "\"code\"", "\"message\""].contains { key.starts(with: $0.utf8) }
    }

    private static let summary = "The model reported an error"

    /// Returns an error's sentence. FastChat writes it as `text`.
    private static func words(in error: JSONSlice) -> String? {
        ErrorWords.sentence(in: error) ?? error["text"]?.string.flatMap { ErrorWords.oneLine($0) }
    }

    /// Returns whether there is a code that stands for a failure: some servers send one with each
    /// success.
    private static func isFailure(_ code: JSONSlice?) -> Bool {
        guard let code else { return false }
        if let number = code.integer { return number != 0 && !(200..<300 ~= number) }
        guard let word = code.string?.lowercased() else { return false }
        return !["", "0", "200", "ok", "success"].contains(word)
    }
}
