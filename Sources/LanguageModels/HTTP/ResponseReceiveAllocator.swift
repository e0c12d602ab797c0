import NIOCore

/// Sizes of the buffers that a response is read into: a small one as long as it suffices, which the
/// connection keeps, and a large one after it was full, which the connection does not keep.
///
/// So an open stream takes little memory, and a first text delta is on its way to the client before
/// the bytes behind it are read.
struct ResponseReceiveAllocator: RecvByteBufferAllocator {
    /// A head, or some events.
    static let small = 1024
    static let large = 65_536

    private var size = small

    /// Sets the sizes for a connection. Between two reads its event loop does what follows from the
    /// first.
    static func set(on channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.recvAllocator, value: ResponseReceiveAllocator())
        try options.setOption(.maxMessagesPerRead, value: 1)
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: size) }

    /// Unknown: SwiftNIO would let the buffer that it keeps grow, and keep it so.
    func nextBufferSize() -> Int? { nil }

    /// - Returns: Whether the next buffer is to be another one.
    mutating func record(actualReadBytes: Int) -> Bool {
        let isFull = actualReadBytes >= size
        size = isFull ? Self.large : Self.small
        return isFull
    }
}
