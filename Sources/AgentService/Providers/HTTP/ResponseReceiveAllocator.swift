import NIOCore

/// Sizes of the buffers that an answer is read into: a small one as long as it suffices, which the connection keeps, and a large one after it was full,
/// which it does not.
///
/// So an open stream has little memory, and a first token is on its way to the client before what came with it is looked at.
struct ResponseReceiveAllocator: RecvByteBufferAllocator {
    /// A head, or some events.
    static let small = 1024
    static let large = 65_536

    private var size = small

    /// Has a connection read this way. Between two reads its event loop does what the first has led to.
    static func set(on channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.recvAllocator, value: ResponseReceiveAllocator())
        try options.setOption(.maxMessagesPerRead, value: 1)
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: size) }

    /// Not told: SwiftNIO would let the buffer that it keeps grow, and keep it so.
    func nextBufferSize() -> Int? { nil }

    /// - Returns: Whether the next buffer is to be another one.
    mutating func record(actualReadBytes: Int) -> Bool {
        let isFull = actualReadBytes >= size
        size = isFull ? Self.large : Self.small
        return isFull
    }
}
