/// The form of a response's body.
///
/// Its first byte decides: servers and proxies label event streams as JSON and JSON as an event
/// stream.
enum BodyForm: Sendable {
    case events
    /// One JSON value, or several.
    case json
    case page

    /// Reads the label, for a body whose first byte decides nothing.
    ///
    /// - Parameter expectsStream: Whether a stream was asked for, in case the label decides nothing
    ///   either.
    init(contentType: String?, expectsStream: Bool) {
        let type = contentType?.prefix { $0 != ";" }.lowercased().filter { $0 != " " } ?? ""
        switch type {
        case "text/event-stream": self = .events
        case "text/html": self = .page
        case _ where type.hasSuffix("json") || !expectsStream: self = .json
        default: self = .events
        }
    }

    /// Judges a body by its first byte that is not ``isBlank(_:)``.
    init(firstByte byte: UInt8, label: BodyForm) {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["): self = .json
        case UInt8(ascii: "<"): self = .page
        // `data`, `event`, `id`, `retry` and a comment.
        case UInt8(ascii: "d"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "r"), UInt8(ascii: ":"): self = .events
        default: self = label
        }
    }

    /// Returns whether a byte at the beginning does not count: whitespace, or a part of a byte
    /// order mark.
    static func isBlank(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF: true
        default: false
        }
    }
}
