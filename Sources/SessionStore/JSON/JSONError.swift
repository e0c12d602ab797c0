/// Why some bytes are not the JSON that was expected (RFC 8259). Never quotes the bytes themselves.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was expected, in a few words.
    public var message: String
    /// The byte at which it was missing, counted from the start of the text.
    public var offset: Int

    public init(_ message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    public var description: String { "\(message) at byte \(offset)" }
}
