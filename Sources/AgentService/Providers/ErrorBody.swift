import NIOCore
import SessionStore

/// Reads errors as OpenAI and others write them.
enum ErrorBody {
    /// How much of an upstream's own words goes into an error, in characters.
    static let maxMessageLength = 300

    /// An answer with another status than 2xx.
    static func httpError(status: Int, body: ByteBuffer) -> LLMError {
        let words = (try? JSONSlice(parsing: body)).flatMap { message(in: $0) } ?? plainText(body)
        let detail = words.map { ": \($0)" } ?? "."
        switch status {
        case 429: return LLMError(.rateLimited, "The model's server refuses more requests for now (HTTP 429)\(detail)", status: status)
        case 408: return LLMError(.timeout, "The model's server gave up waiting (HTTP 408)\(detail)", status: status)
        case 500...: return LLMError(.unavailable, "The model's server failed (HTTP \(status))\(detail)", status: status)
        default: return LLMError(.rejected, "The model's server rejected the request (HTTP \(status))\(detail)", status: status)
        }
    }

    /// The sentence in `{"error":{"message":…}}`, `{"error":…}`, `{"message":…}`, `{"detail":…}` or a string.
    static func message(in json: JSONSlice, depth: Int = 0) -> String? {
        if let text = json.string { return oneLine(text) }
        guard json.kind == .object, depth < 3 else { return nil }
        for key in ["error", "message", "detail"] {
            if let inner = json[key], let text = message(in: inner, depth: depth + 1) { return text }
        }
        return nil
    }

    /// A short text; nil for a page of HTML or what is cut off.
    static func plainText(_ body: ByteBuffer) -> String? {
        guard let first = body.readableBytesView.first, first != UInt8(ascii: "<"), first != UInt8(ascii: "{") else { return nil }
        return oneLine(String(buffer: body))
    }

    /// `text` on one line and not too long; nil if nothing is left.
    static func oneLine(_ text: String) -> String? {
        let words = text.unicodeScalars.prefix(maxMessageLength * 4).split {
            $0.properties.isWhitespace || $0.value < 0x20 || $0.value == 0x7F
        }
        let line = words.map { String($0) }.joined(separator: " ")
        guard !line.isEmpty else { return nil }
        return line.count > maxMessageLength ? line.prefix(maxMessageLength) + "…" : line
    }
}
