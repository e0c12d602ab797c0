/// Why a command to Redis failed.
public struct RedisError: Error, Sendable, CustomStringConvertible {
    /// The reason. Names in capitals are the first word of Redis's error reply.
    public enum Code: Sendable, Equatable {
        /// No connection could be made.
        case connectionFailed
        /// The connection ended while the command was under way.
        case connectionLost
        /// No reply came within ``RedisConfiguration/commandTimeout``.
        case timeout
        /// More commands or bytes are in flight than the configuration allows.
        case overloaded
        /// The pool or connection was shut down.
        case closed
        /// The caller's task was cancelled.
        case cancelled
        /// The bytes from the server are not RESP2, or a reply exceeds a bound.
        case protocolViolation
        /// `LOADING`: Redis reads its files.
        case loading
        /// `READONLY`: the server is a replica, for example a master that was demoted.
        case readOnly
        /// `OOM`: Redis has reached `maxmemory`.
        case outOfMemory
        /// `MOVED`: another node of the Cluster has the slot.
        case moved(slot: Int, host: String, port: Int)
        /// `ASK`: the slot is moving to another node of the Cluster, which has the key.
        case ask(slot: Int, host: String, port: Int)
        /// `TRYAGAIN`: the slot is moving, and the command's keys are on both nodes.
        case tryAgain
        /// `CLUSTERDOWN`: the Cluster does not take commands.
        case clusterDown
        /// `MASTERDOWN`: a replica has lost its master.
        case masterDown
        /// `NOSCRIPT`: Redis does not have the script cached.
        case noScript
        /// `BUSY`: a script has been running for too long.
        case busy
        /// `NOAUTH`, `WRONGPASS`, `NOPERM`: the user may not run the command.
        case notPermitted
        /// `NOREPLICAS`, or too few replicas have acknowledged a write: see ``Acknowledgement``.
        case noReplicas
        /// `MISCONF`: Redis cannot write its files, and refuses writes.
        case writesRefused
        /// `WRONGTYPE`: the key holds a value of another type.
        case wrongType
        /// Another error reply, with its first word.
        case reply(String)
    }

    /// The reason, for programs.
    public var code: Code
    /// The reason in words, for logs. Bounded; may quote Redis, never a password.
    public var message: String
    /// Whether Redis may have executed the command: it was written to the socket, and no reply
    /// came.
    public var mayHaveBeenApplied: Bool

    /// - Parameters:
    ///   - code: The reason, for programs.
    ///   - message: The reason in words.
    ///   - mayHaveBeenApplied: Whether Redis may have executed the command.
    public init(_ code: Code, _ message: String, mayHaveBeenApplied: Bool = false) {
        self.code = code
        self.message = message
        self.mayHaveBeenApplied = mayHaveBeenApplied
    }

    public var description: String { message }

    /// The caller was cancelled before the command was written to the socket.
    package static let neverSent = RedisError(.cancelled, "the caller of a Redis command was cancelled")
    static let shutDown = RedisError(.closed, "the Redis client was shut down", mayHaveBeenApplied: true)
}

extension RedisError {
    /// Reads an error reply, without its leading `-`.
    ///
    /// An error reply means that Redis did not apply the command, with one exception: a script that
    /// fails in its middle has made its first writes. Redis names the script in this case. A script
    /// that does not compile has not started, and the server's own state (memory, disk, replicas)
    /// never stops a script that has written.
    package init(reply text: String) {
        let words = text.split(separator: " ", maxSplits: 3)
        let word = words.first.map(String.init) ?? ""
        let code: Code =
            switch word {
            case "LOADING": .loading
            case "READONLY": .readOnly
            case "OOM": .outOfMemory
            case "MOVED": Self.redirection(words).map { .moved(slot: $0.slot, host: $0.host, port: $0.port) } ?? .reply(word)
            case "ASK": Self.redirection(words).map { .ask(slot: $0.slot, host: $0.host, port: $0.port) } ?? .reply(word)
            case "TRYAGAIN": .tryAgain
            case "CLUSTERDOWN": .clusterDown
            case "MASTERDOWN": .masterDown
            case "NOSCRIPT": .noScript
            case "BUSY": .busy
            case "NOAUTH", "WRONGPASS", "NOPERM": .notPermitted
            case "NOREPLICAS": .noReplicas
            case "MISCONF": .writesRefused
            case "WRONGTYPE": .wrongType
            default: .reply(word.prefix(bytes: 64))
            }
        let hasBegun: Bool =
            switch code {
            // A script that does not compile has not started.
            case .reply, .wrongType, .notPermitted:
                (text.contains("script:") || text.contains("user_script")) && !Self.isOfCompiler(text)
            default: false
            }
        self.init(code, "Redis answered: \(text.prefix(bytes: 512))", mayHaveBeenApplied: hasBegun)
    }

    /// Whether the error reports a script that does not compile. Services word this differently. An
    /// error of a script that has started ends with the place where it failed.
    private static func isOfCompiler(_ text: String) -> Bool {
        (text.contains("ompiling") || text.contains("ompile ") || text.contains("unexpected symbol near '#'")) && !text.contains(", on @")
    }

    /// Reads `MOVED 3999 127.0.0.1:6381`. The host may be empty or an IPv6 address.
    private static func redirection(_ words: [Substring]) -> (slot: Int, host: String, port: Int)? {
        guard words.count >= 3, let slot = Int(words[1]), (0..<16384).contains(slot), let colon = words[2].lastIndex(of: ":"),
            let port = Int(words[2][words[2].index(after: colon)...]), (1...65535).contains(port)
        else { return nil }
        return (slot, String(words[2][..<colon]), port)
    }
}
