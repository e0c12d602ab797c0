/// Why a call of the store failed.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The reasons, for programs.
    public enum Code: Sendable {
        /// Redis cannot be reached or refuses writes. Nothing was written.
        case unavailable
        /// Redis did not reply in time: the call may have been applied. The same call with the same
        /// token is safe.
        case outcomeUnknown
        /// Too many commands are in flight.
        case overloaded
        /// The caller was cancelled.
        case cancelled
        /// Redis replied something that the protocol does not know.
        case unexpectedReply
        /// A key of the session holds a value of another type: a person has edited it. Only a
        /// person can repair it.
        case damaged
        /// A build that knows a later layout of the keys has written the session. Nothing was
        /// written.
        case newerLayout
        /// The deployment's layout of the keys has no tenants and owners yet. Nothing was written.
        case olderLayout
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

    static func olderLayout(_ layout: Int) -> StoreError {
        StoreError(.olderLayout, "the deployment has layout \(layout), and tenants and owners need layout \(RedisLayout.owners)")
    }

    public var description: String { message }
}
