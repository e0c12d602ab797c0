import JSONText
import NIOCore

/// What an error body says beside its sentence.
struct ErrorFacts {
    /// Words and numbers for the error, the most telling first.
    private(set) var codes: [String] = []
    /// An HTTP status that the body names.
    private(set) var status: Int?
    /// The server's name for the request.
    private(set) var requestID: String?

    /// Longer ones are sentences, or not from an error at all.
    private static let maximumCodeLength = 128
    private static let maximumDepth = 6
    /// Members that hold more of the error; without capitals and underscores.
    private static let nested = ["error", "errors", "message", "details", "detail", "metadata", "baseresp", "response", "raw"]
    private static let named = ["code", "errorcode", "status", "statuscode", "errortype", "type"]

    init() {}

    init(_ error: JSONSlice) {
        read(error, depth: 0)
        // A word for any error means nothing.
        codes.removeAll { $0 == "error" || $0 == "null" }
    }

    private mutating func read(_ json: JSONSlice, depth: Int) {
        guard depth < Self.maximumDepth else { return }
        if json.kind == .array { return json.elements.prefix(4).forEach { read($0, depth: depth + 1) } }
        if let text = json.string, text.first == "{", let inner = try? JSONSlice(parsing: json.unquoted) {
            return read(inner, depth: depth + 1)
        }
        guard json.kind == .object else { return }
        var members: [String: JSONSlice] = [:]
        for member in json.members where !member.value.isNull { members[ErrorWords.folded(member.key.string)] = member.value }
        if let inner = members["error"] { read(inner, depth: depth + 1) }
        for key in Self.named { members[key].map { note($0) } }
        for key in Self.nested where key != "error" { members[key].map { read($0, depth: depth + 1) } }
        if requestID == nil { requestID = members["requestid"]?.string.flatMap { ResponseNotes.name($0) } }
    }

    private mutating func note(_ value: JSONSlice) {
        let text: String
        switch value.kind {
        case .string: text = value.string ?? ""
        case .number: text = value.text.text
        case .object, .array, .true, .false, .null: return
        }
        if let number = Int(text), number == 0 || 100...599 ~= number {
            if status == nil, 400...599 ~= number { status = number }
        } else if !text.isEmpty, text.utf8.count <= Self.maximumCodeLength, let code = ErrorWords.oneLine(text), !codes.contains(code) {
            codes.append(code)
        }
    }
}

extension JSONSlice {
    /// The bytes of a string without its escapes; empty for another value.
    fileprivate var unquoted: ByteBuffer { ByteBuffer(string: string ?? "") }
}
