import JSONText
import NIOCore

/// Finds the sentence of an error body, wherever servers put it.
enum ErrorWords {
    /// Objects within objects, and texts that are JSON themselves.
    private static let maximumDepth = 6
    /// Entries of a list that are quoted.
    private static let maximumEntries = 3
    /// Members with a sentence, in the order in which they are believed; without capitals and
    /// underscores.
    private static let sentences = [
        "message", "detail", "errors", "msg", "errormsg", "errormessage", "errordescription", "statusmsg", "description", "title", "reason",
    ]
    /// Members that hold the error of another server, or of a layer below.
    private static let wrappers = ["baseresp", "response", "result", "data", "body", "cause", "details"]

    /// Returns the error's sentence on one line; nil if it has none.
    static func sentence(in json: JSONSlice) -> String? { sentence(in: json, depth: 0) }

    /// Returns the sentence of a body that is not JSON. A web page has none, and JSON that was cut
    /// off is not read.
    static func plain(_ body: ByteBuffer) -> String? {
        let text = trimmed(body)
        guard let first = text.readableBytesView.first, first != UInt8(ascii: "{"), first != UInt8(ascii: "[") else { return nil }
        return sentence(String(buffer: text), depth: 0)
    }

    /// Returns `body` without a byte order mark and without blanks before its first word.
    static func trimmed(_ body: ByteBuffer) -> ByteBuffer {
        let view = body.readableBytesView
        let mark = view.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let blanks = view.dropFirst(mark).prefix { $0 == 0x20 || (0x09...0x0D).contains($0) }.count
        return body.getSlice(at: body.readerIndex + mark + blanks, length: view.count - mark - blanks) ?? ByteBuffer()
    }

    /// Returns `text` on one line and not too long; nil if nothing is left.
    static func oneLine(_ text: String) -> String? {
        let limit = ErrorBody.maxMessageLength
        let words = text.unicodeScalars.prefix(limit * 4).split {
            $0.properties.isWhitespace || $0.value < 0x20 || $0.value == 0x7F
        }
        let line = words.map { String($0) }.joined(separator: " ")
        guard !line.isEmpty else { return nil }
        return line.count > limit ? line.prefix(limit) + "…" : line
    }

    private static func sentence(in json: JSONSlice, depth: Int) -> String? {
        guard depth < maximumDepth else { return nil }
        switch json.kind {
        case .string: return json.string.flatMap { sentence($0, depth: depth) }
        case .array:
            let entries = json.elements.lazy.compactMap { sentence(in: $0, depth: depth + 1) }.prefix(maximumEntries)
            return oneLine(entries.joined(separator: "; "))
        case .object: return sentence(of: json, depth: depth)
        case .number, .true, .false, .null: return nil
        }
    }

    /// Returns the sentence in a text, which may be the JSON of another server's error, or its web
    /// page.
    private static func sentence(_ text: String, depth: Int) -> String? {
        let start = text.drop { $0.isWhitespace }
        if start.first == "{" || start.first == "[", let inner = try? JSONSlice(parsing: ByteBuffer(substring: start)) {
            return sentence(in: inner, depth: depth + 1)
        }
        return start.first == "<" ? nil : oneLine(text)
    }

    private static func sentence(of object: JSONSlice, depth: Int) -> String? {
        var members: [String: JSONSlice] = [:]
        for member in object.members where !member.value.isNull { members[folded(member.key.string)] = member.value }
        // An `error` that is a word often stands beside a sentence:
        // {"error":"Bad Request","message":"…"}.
        if let error = members["error"], error.kind != .string, let words = sentence(in: error, depth: depth + 1) { return words }
        for key in sentences {
            guard let value = members[key] else { continue }
            if let words = sentence(in: value, depth: depth + 1) ?? fields(of: value, depth: depth) {
                return oneLine(completed(words, by: members, depth: depth))
            }
        }
        if let error = members["error"], let words = sentence(in: error, depth: depth + 1) { return words }
        return wrappers.lazy.compactMap { members[$0].flatMap { sentence(in: $0, depth: depth + 1) } }.first { _ in true }
    }

    /// Adds a gateway's quote of the server behind it, and the member of the request that a
    /// validator names.
    private static func completed(_ words: String, by members: [String: JSONSlice], depth: Int) -> String {
        if let raw = members["metadata"]?["raw"], let inner = sentence(in: raw, depth: depth + 1) { return "\(words): \(inner)" }
        guard let place = members["loc"], place.kind == .array else { return words }
        let path = place.elements.compactMap { $0.string ?? $0.integer.map(String.init) }.filter { $0 != "body" }
        return path.isEmpty ? words : "\(words) (\(path.joined(separator: ".")))"
    }

    /// Returns the errors by the request's members, as in `{"model":["is required"]}`.
    private static func fields(of value: JSONSlice, depth: Int) -> String? {
        guard value.kind == .object, depth + 1 < maximumDepth else { return nil }
        let entries = value.members.lazy.compactMap { member in
            sentence(in: member.value, depth: depth + 2).map { "\(member.key.string): \($0)" }
        }
        let found = Array(entries.prefix(maximumEntries))
        return found.isEmpty ? nil : found.joined(separator: "; ")
    }

    static func folded(_ key: String) -> String { key.lowercased().filter { $0 != "_" && $0 != "-" } }
}
