import Crypto
public import NIOCore

/// A Lua script and the SHA-1 by which Redis knows it once it is loaded.
public struct RedisScript: Sendable {
    public let name: String
    let source: ByteBuffer
    let sha: String

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

    /// Has Redis compile the script, and return before its first command.
    var compiling: RedisCommand {
        let text = String(buffer: source)
        // The first line names the engine.
        let rest = text.firstIndex(of: "\n") ?? text.endIndex
        return RedisCommand("EVAL", String(text[..<rest] + "\ndo return 1 end" + text[rest...]), "0")
    }
}

/// One call of a script: by its SHA, and by its source where Redis does not have it.
public struct RedisScriptCall: Sendable {
    let script: RedisScript
    private(set) var command: RedisCommand

    /// - Parameter names: Of the session's keys, without their prefix; almost every script wants all of them.
    init(_ script: RedisScript, keys: RedisKeys, _ names: [StaticString] = RedisKeys.scriptKeys, capacity: Int = 256) {
        self.init(script, keyCount: names.count, capacity: 512 + capacity)
        for name in names { command.append(keys.prefix, name) }
    }

    public init(_ script: RedisScript, keys: [String], capacity: Int = 256) {
        self.init(script, keyCount: keys.count, capacity: capacity)
        command.append(contentsOf: keys)
    }

    private init(_ script: RedisScript, keyCount: Int, capacity: Int) {
        self.script = script
        command = RedisCommand("EVALSHA", capacity: 64 + capacity)
        command.append(script.sha)
        command.append(integer: Int64(keyCount))
    }

    mutating func append(_ prefix: String, _ suffix: StaticString) { command.append(prefix, suffix) }
    public mutating func append(_ argument: String) { command.append(argument) }
    public mutating func append(_ argument: ByteBuffer) { command.append(argument) }
    public mutating func append(integer: Int64) { command.append(integer: integer) }

    /// The call with the script's text; Redis keeps the script from then on.
    var withSource: RedisCommand {
        command.replacing(first: 2, with: [ByteBuffer(string: "EVAL"), script.source])
    }
}
