import Crypto
public import NIOCore

/// A Lua script, and the SHA-1 under which Redis caches it.
public struct RedisScript: Sendable {
    /// The name for logs and errors. Redis does not see it.
    public let name: String
    let source: ByteBuffer
    let sha: String

    /// - Parameters:
    ///   - name: A name for logs and errors.
    ///   - source: The script's text, as `EVAL` takes it.
    public init(name: String, source: some Sequence<UInt8>) {
        self.name = name
        self.source = ByteBuffer(bytes: source)
        var hash = Insecure.SHA1()
        self.source.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        sha = hash.finalize().map { byte in
            let digits = String(byte, radix: 16)
            return digits.count < 2 ? "0" + digits : digits
        }.joined()
    }

    /// A command that makes Redis compile the script, and return before the script's first
    /// statement.
    package var compiling: RedisCommand {
        let text = String(buffer: source)
        // The shebang line must stay the first one.
        let rest = text.firstIndex(of: "\n") ?? text.endIndex
        return RedisCommand("EVAL", String(text[..<rest] + "\ndo return 1 end" + text[rest...]), "0")
    }
}

/// One call of a script with its keys and arguments. Redis receives the script's SHA-1 (`EVALSHA`),
/// and its text only if it does not have the script cached (`NOSCRIPT`).
public struct RedisScriptCall: Sendable {
    let script: RedisScript
    private(set) var command: RedisCommand

    /// - Parameters:
    ///   - script: The script.
    ///   - keys: The keys that the script touches. On a Cluster they must lie in one slot.
    ///   - capacity: The number of bytes that keys and arguments need together, roughly.
    public init(_ script: RedisScript, keys: [String], capacity: Int = 256) {
        self.init(script, keyCount: keys.count, capacity: capacity)
        command.append(contentsOf: keys)
    }

    /// Makes a call without its keys. The caller appends `keyCount` keys first, then the arguments.
    package init(_ script: RedisScript, keyCount: Int, capacity: Int) {
        self.script = script
        command = RedisCommand("EVALSHA", capacity: 64 + capacity)
        command.append(script.sha)
        command.append(integer: Int64(keyCount))
    }

    /// Appends one key or argument that consists of two parts.
    package mutating func append(_ prefix: String, _ suffix: StaticString) { command.append(prefix, suffix) }
    /// Appends an argument.
    public mutating func append(_ argument: String) { command.append(argument) }
    /// Appends an argument.
    public mutating func append(_ argument: ByteBuffer) { command.append(argument) }
    /// Appends an argument in decimal digits.
    public mutating func append(integer: Int64) { command.append(integer: integer) }

    /// The call with the script's text instead of its SHA-1. Redis caches the script when it runs
    /// this.
    var withSource: RedisCommand {
        command.replacing(first: 2, with: [ByteBuffer(string: "EVAL"), script.source])
    }
}
