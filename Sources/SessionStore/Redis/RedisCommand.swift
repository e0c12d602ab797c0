import CHiredis
public import NIOCore

/// A command and its arguments, in one flat buffer.
public struct RedisCommand: Sendable {
    private(set) var bytes: ByteBuffer
    private(set) var lengths: [Int]

    public init(_ name: String, _ arguments: String...) {
        self.init(name, capacity: 64)
        for argument in arguments { append(argument) }
    }

    /// - Parameter capacity: Bytes that all arguments together will roughly have.
    public init(_ name: String, capacity: Int) {
        bytes = ByteBuffer()
        bytes.reserveCapacity(name.utf8.count + capacity)
        lengths = []
        lengths.reserveCapacity(8)
        append(name)
    }

    public mutating func append(_ argument: String) {
        lengths.append(bytes.writeString(argument))
    }

    /// Appends one argument that is made of two parts.
    mutating func append(_ prefix: String, _ suffix: StaticString) {
        let length = bytes.writeString(prefix)
        lengths.append(length + bytes.writeStaticString(suffix))
    }

    public mutating func append(_ argument: ByteBuffer) {
        lengths.append(bytes.writeImmutableBuffer(argument))
    }

    public mutating func append(integer: Int64) {
        let start = bytes.writerIndex
        bytes.writeDecimal(Int(integer))
        lengths.append(bytes.writerIndex - start)
    }

    public mutating func append(contentsOf arguments: some Sequence<String>) {
        for argument in arguments { append(argument) }
    }

    var name: String { argument(0) ?? "" }

    /// The argument at `index`, the name's being 0; nil where there is none.
    func argument(_ index: Int) -> String? {
        guard lengths.indices.contains(index) else { return nil }
        return bytes.getString(at: bytes.readerIndex + lengths.prefix(index).reduce(0, +), length: lengths[index])
    }

    var byteCount: Int { bytes.readableBytes + 16 * lengths.count }

    /// The same arguments after other first ones.
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

    /// Appends the command in RESP to `output`: hiredis formats it, and its text is copied once.
    ///
    /// - Returns: False when hiredis has no memory for it.
    func encode(into output: inout ByteBuffer) -> Bool {
        bytes.withUnsafeReadableBytes { raw in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: lengths.count) { pointers in
                // An empty buffer may have no address, and hiredis copies nothing from an argument of length 0.
                var place = raw.baseAddress?.assumingMemoryBound(to: CChar.self)
                for (index, length) in lengths.enumerated() {
                    pointers.initializeElement(at: index, to: place)
                    place = place?.advanced(by: length)
                }
                var formatted: UnsafeMutablePointer<CChar>?
                let count = Int(redisFormatCommandArgv(&formatted, .init(lengths.count), pointers.baseAddress, lengths))
                guard count >= 0, let formatted else { return false }
                output.writeBytes(UnsafeRawBufferPointer(start: formatted, count: count))
                redisFreeCommand(formatted)
                return true
            }
        }
    }
}
