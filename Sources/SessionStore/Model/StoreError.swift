/// Why the store could not do what was asked.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The reasons, for programs.
    public enum Code: Sendable {
        /// Redis cannot be reached or refuses writes. Nothing was written.
        case unavailable
        /// Redis did not answer in time: it may have been written. The same call with the same token is safe.
        case outcomeUnknown
        /// Too many commands are under way.
        case overloaded
        /// The caller was cancelled.
        case cancelled
        /// Redis answered something that the protocol has no place for.
        case unexpectedReply
        /// A key of the session holds something of another type: somebody has edited it. Nothing mends that by itself.
        case damaged
        /// A build that knows a later layout of the keys has written the session. Nothing was written.
        case newerLayout
    }

    /// The reason.
    public var code: Code
    /// The reason in words, for logs.
    public var message: String

    /// - Parameters:
    ///   - code: The reason.
    ///   - message: The reason in words, for logs.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    static func newerLayout(_ layout: Int) -> StoreError {
        StoreError(.newerLayout, "the session has layout \(layout), and this build knows \(RedisLayout.known)")
    }

    public var description: String { message }
}
