/// An error for a value that a test did not expect.
public struct Unexpected: Error, CustomStringConvertible {
    public var description: String

    public init(description: String) {
        self.description = description
    }
}
