import NIOHTTP1

/// What the head of a failed response says to a client that sends the request again, and to an operator.
struct ResponseNotes: Sendable, Equatable {
    /// Seconds that the server wants to be left alone for, rounded up.
    var retryAfter: Int?
    /// The server's name for the request.
    var requestID: String?

    /// A server that names a longer wait has made a mistake.
    private static let longestWait = 1_000_000_000.0

    init(_ headers: HTTPHeaders) {
        retryAfter = Self.wait(headers)
        requestID = ["x-request-id", "request-id", "cf-ray"].lazy.compactMap { headers.first(name: $0).flatMap(Self.name) }.first { _ in
            true
        }
    }

    /// A name that can stand in a log line; nil for any other text.
    static func name(_ text: String) -> String? {
        !text.isEmpty && text.utf8.count <= 128 && text.utf8.allSatisfy { 0x21...0x7E ~= $0 } ? text : nil
    }

    private static func wait(_ headers: HTTPHeaders) -> Int? {
        if let text = headers.first(name: "retry-after-ms"), let wait = seconds(Double(text).map { $0 / 1000 }) { return wait }
        guard let text = headers.first(name: "retry-after") else { return nil }
        if let wait = seconds(Double(text)) { return wait }
        // The server's own clock says how long that is.
        guard let date = HTTPDate.seconds(text) else { return nil }
        let now = headers.first(name: "date").flatMap(HTTPDate.seconds) ?? HTTPDate.now
        return seconds(Double(max(0, date - now)))
    }

    private static func seconds(_ wait: Double?) -> Int? {
        guard let wait, wait >= 0, wait <= longestWait else { return nil }
        return Int(wait.rounded(.up))
    }
}

extension LLMError {
    /// The same with what the head of its response says.
    func with(_ notes: ResponseNotes) -> LLMError {
        var error = self
        error.retryAfter = retryAfter ?? notes.retryAfter
        error.upstreamRequest = notes.requestID ?? upstreamRequest
        return error
    }
}
