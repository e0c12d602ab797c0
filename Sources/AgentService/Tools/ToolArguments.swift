import JSONText
import NIOCore
import SessionStore

/// Reads the arguments of a call as models and the servers before them write them.
enum ToolArguments {
    static var none: ByteBuffer { ByteBuffer(string: "{}") }

    static func isBlank(_ text: ByteBuffer) -> Bool { text.readableBytesView.allSatisfy { $0 == 0x20 || 0x09...0x0D ~= $0 } }

    /// The bounds on values in a row, and on strings within strings.
    private static let maximumValues = 16
    private static let maximumDepth = 4

    /// Returns the JSON object that the text stands for; nil where it stands for none.
    ///
    /// Models write no arguments as an empty text, `null`, `""` or `[]`. Some servers put the
    /// object into a string, send `{}` before it, or repeat it.
    static func object(in text: ByteBuffer) -> ByteBuffer? { object(in: text, depth: 0) }

    private static func object(in text: ByteBuffer, depth: Int) -> ByteBuffer? {
        guard depth < maximumDepth, let values = try? CheckedJSON.series(repairing: text, limit: maximumValues) else { return nil }
        var found: ByteBuffer?
        for value in values {
            guard let object = object(of: value, depth: depth) else { return nil }
            if let earlier = found, earlier != none, earlier != object { return nil }
            found = object
        }
        return found ?? none
    }

    private static func object(of value: CheckedJSON, depth: Int) -> ByteBuffer? {
        switch value.kind {
        case .object: value.buffer
        case .null: none
        case .array: value.value.elements.contains { _ in true } ? nil : none
        case .string: value.value.string.flatMap { object(in: ByteBuffer(string: $0), depth: depth + 1) }
        case .number, .true, .false: nil
        }
    }
}
