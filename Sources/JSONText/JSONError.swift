/// The reason why bytes are not the JSON that was expected (RFC 8259). Never quotes the bytes.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The reason in a few words.
    package var message: String
    /// The index of the byte at fault, from the start of the text.
    package var offset: Int

    /// - Parameters:
    ///   - message: The reason in a few words.
    ///   - offset: The index of the byte at fault.
    package init(_ message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    package var description: String { "\(message) at byte \(offset)" }
}
