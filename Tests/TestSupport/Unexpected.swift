/// Something else than a test expects.
public struct Unexpected: Error, CustomStringConvertible {
    public var description: String

    public init(description: String) {
        self.description = description
    }
}
