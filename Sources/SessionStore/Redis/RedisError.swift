/// Why a command to Redis failed.
public struct RedisError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        /// No connection could be made.
        case connectionFailed
        /// The connection ended while the command was under way.
        case connectionLost
        case timeout
        /// More commands or bytes are under way than the bound allows.
        case overloaded
        /// The client was shut down.
        case closed
        /// The caller's task was cancelled.
        case cancelled
        /// What came is not RESP2, or larger than the bound.
        case protocolViolation
        /// `-LOADING`: Redis reads its files.
        case loading
        /// `-READONLY`: a replica, perhaps a master that was demoted.
        case readOnly
        /// `-OOM`
        case outOfMemory
        case moved(slot: Int, host: String, port: Int)
        case ask(slot: Int, host: String, port: Int)
        case tryAgain
        case clusterDown
        case masterDown
        case noScript
        /// `-BUSY`: a script runs for too long.
        case busy
        /// `-NOAUTH`, `-WRONGPASS`, `-NOPERM`
        case notPermitted
        case noReplicas
        /// `-MISCONF`: Redis cannot write its files, and takes nothing.
        case writesRefused
        /// `-WRONGTYPE`: a key holds something else.
        case wrongType
        /// Any other error reply, by its first word.
        case reply(String)
    }

    public var code: Code
    public var message: String
    /// Whether Redis may have executed the command: bytes were handed to the socket, and no answer came.
    public var mayHaveBeenApplied: Bool

    public init(_ code: Code, _ message: String, mayHaveBeenApplied: Bool = false) {
        self.code = code
        self.message = message
        self.mayHaveBeenApplied = mayHaveBeenApplied
    }

    public var description: String { message }

    static let shutDown = RedisError(.closed, "the Redis client was shut down", mayHaveBeenApplied: true)
}

extension RedisError {
    /// Reads an error reply, without its leading `-`. Redis has refused the command, so it was not
    /// applied. Only a script may have failed after its first write; Redis names the script then.
    /// One that does not compile has not begun, and the server's own state (its memory, its disk,
    /// its replicas) stops no script that has written.
    init(reply text: String) {
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
            // One that cannot be compiled has not begun.
            case .reply, .wrongType, .notPermitted:
                (text.contains("script:") || text.contains("user_script")) && !Self.isOfCompiler(text)
            default: false
            }
        self.init(code, "Redis answered: \(text.prefix(bytes: 512))", mayHaveBeenApplied: hasBegun)
    }

    /// Whether a script was refused as a text: services say so in words of their own. Of one that has begun the place is named where
    /// it failed, at the end.
    private static func isOfCompiler(_ text: String) -> Bool {
        (text.contains("ompiling") || text.contains("ompile ") || text.contains("unexpected symbol near '#'")) && !text.contains(", on @")
    }

    /// `MOVED 3999 127.0.0.1:6381`; the host may be empty or an IPv6 address.
    private static func redirection(_ words: [Substring]) -> (slot: Int, host: String, port: Int)? {
        guard words.count >= 3, let slot = Int(words[1]), (0..<16384).contains(slot), let colon = words[2].lastIndex(of: ":"),
            let port = Int(words[2][words[2].index(after: colon)...]), (1...65535).contains(port)
        else { return nil }
        return (slot, String(words[2][..<colon]), port)
    }
}
