public import NIOCore

/// A command and its arguments, in one flat buffer.
public struct RedisCommand: Sendable {
    private(set) var bytes: ByteBuffer
    private(set) var lengths: [Int]

    /// - Parameters:
    ///   - name: The command, for example `HSET`. A subcommand is an argument.
    ///   - arguments: Sent as they are; no argument needs quoting.
    public init(_ name: String, _ arguments: String...) {
        self.init(name, capacity: 64)
        for argument in arguments { append(argument) }
    }

    /// - Parameters:
    ///   - name: The command, for example `HSET`.
    ///   - capacity: The number of bytes that all arguments need together, roughly.
    public init(_ name: String, capacity: Int) {
        bytes = ByteBuffer()
        bytes.reserveCapacity(name.utf8.count + capacity)
        lengths = []
        lengths.reserveCapacity(8)
        append(name)
    }

    /// Appends an argument.
    public mutating func append(_ argument: String) {
        lengths.append(bytes.writeString(argument))
    }

    /// Appends one argument that consists of two parts.
    package mutating func append(_ prefix: String, _ suffix: StaticString) {
        let length = bytes.writeString(prefix)
        lengths.append(length + bytes.writeStaticString(suffix))
    }

    /// Appends an argument.
    public mutating func append(_ argument: ByteBuffer) {
        lengths.append(bytes.writeImmutableBuffer(argument))
    }

    /// Appends an argument in decimal digits.
    public mutating func append(integer: Int64) {
        lengths.append(bytes.writeString(String(integer)))
    }

    /// Appends each element as an argument.
    public mutating func append(contentsOf arguments: some Sequence<String>) {
        for argument in arguments { append(argument) }
    }

    var name: String { argument(0) ?? "" }

    /// Returns the argument at `index`, or nil if there is none. The name has index 0.
    func argument(_ index: Int) -> String? {
        guard lengths.indices.contains(index) else { return nil }
        return bytes.getString(at: bytes.readerIndex + lengths.prefix(index).reduce(0, +), length: lengths[index])
    }

    var byteCount: Int { bytes.readableBytes + 16 * lengths.count }

    /// Returns the command with its first `count` arguments replaced by `first`.
    func replacing(first count: Int, with first: [ByteBuffer]) -> RedisCommand {
        var command = RedisCommand("", capacity: 0)
        command.lengths = []
        for argument in first { command.append(argument) }
        let skipped = lengths.prefix(count).reduce(0, +)
        if let rest = bytes.getSlice(at: bytes.readerIndex + skipped, length: bytes.readableBytes - skipped) {
            command.bytes.writeImmutableBuffer(rest)
        }
        command.lengths += lengths.dropFirst(count)
        return command
    }
}
