import NIOHTTP1

/// What the head of a failed response says to a client that sends the request again, and to an
/// operator.
struct ResponseNotes: Sendable, Equatable {
    /// Seconds that the server wants to be left alone for, rounded up.
    private(set) var retryAfter: Int?
    /// The server's name for the request.
    private(set) var requestID: String?

    /// A server that names a longer wait has made a mistake.
    private static let longestWait = 1_000_000_000.0

    /// Reads the headers in one pass, since each response's head passes here.
    init(_ headers: HTTPHeaders) {
        var milliseconds: String?
        var wait: String?
        var date: String?
        var (xRequestID, requestID, ray): (String?, String?, String?)
        for (name, value) in headers {
            switch name.utf8.count {
            case 4 where date == nil && name.isHeader("date"): date = value
            case 6 where ray == nil && name.isHeader("cf-ray"): ray = Self.name(value)
            case 10 where requestID == nil && name.isHeader("request-id"): requestID = Self.name(value)
            case 11 where wait == nil && name.isHeader("retry-after"): wait = value
            case 12 where xRequestID == nil && name.isHeader("x-request-id"): xRequestID = Self.name(value)
            case 14 where milliseconds == nil && name.isHeader("retry-after-ms"): milliseconds = value
            default: break
            }
        }
        self.requestID = xRequestID ?? requestID ?? ray
        retryAfter = Self.seconds(milliseconds.flatMap(Double.init).map { $0 / 1000 }) ?? wait.flatMap { Self.wait($0, since: date) }
    }

    /// Returns a name that can stand in a log line; nil for any other text.
    static func name(_ text: String) -> String? {
        !text.isEmpty && text.utf8.count <= 128 && text.utf8.allSatisfy { 0x21...0x7E ~= $0 } ? text : nil
    }

    /// Reads `Retry-After`: seconds, or a date.
    ///
    /// - Parameter date: The server's own clock, which says how long that is.
    private static func wait(_ text: String, since date: String?) -> Int? {
        if let wait = seconds(Double(text)) { return wait }
        guard let end = HTTPDate.seconds(text) else { return nil }
        return seconds(Double(max(0, end - (date.flatMap(HTTPDate.seconds) ?? HTTPDate.now))))
    }

    private static func seconds(_ wait: Double?) -> Int? {
        guard let wait, wait >= 0, wait <= longestWait else { return nil }
        return Int(wait.rounded(.up))
    }
}

extension String {
    /// Returns whether this is the header's name, in letters of any case.
    fileprivate func isHeader(_ name: StaticString) -> Bool {
        utf8.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)) { $0 | 0x20 == $1 | 0x20 }
    }
}

extension LLMError {
    /// Returns the same error with what the head of its response says.
    func with(_ notes: ResponseNotes) -> LLMError {
        var error = self
        error.retryAfter = retryAfter ?? notes.retryAfter
        error.upstreamRequest = notes.requestID ?? upstreamRequest
        return error
    }
}
