import CHiredis
package import NIOCore

/// A decoder for RESP2: hiredis's reply reader, with callbacks that build ``RedisReply`` values.
///
/// hiredis calls back for each value. The callbacks append to two flat arrays, so that a reply
/// costs two allocations, whatever its size. No callback allocates for a length that a header only
/// claims.
///
/// Not `Sendable`: a decoder belongs to one channel handler, on one event loop.
package final class RedisReplyDecoder {
    private let reader: UnsafeMutablePointer<redisReader>
    /// Must live as long as the reader.
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let maxBytes: Int
    private let maxNodes: Int
    /// Bytes fed since the last complete reply.
    private var pendingBytes = 0
    /// The first error. It stays, since bytes behind an error have no meaning.
    private var failure: RedisError?
    private var hasTooManyNodes = false
    private var nodes: [RedisReply.Node] = []
    private var bytes = ByteBuffer()

    package init(maxBytes: Int, maxNodes: Int) throws(RedisError) {
        self.maxBytes = maxBytes
        self.maxNodes = maxNodes
        functions = .allocate(capacity: 1)
        functions.initialize(to: Self.callbacks)
        guard let reader = redisReaderCreateWithFunctions(functions) else {
            functions.deallocate()
            throw RedisError(.protocolViolation, "hiredis has no memory for a reader")
        }
        self.reader = reader
        reader.pointee.privdata = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        redisReaderFree(reader)
        functions.deallocate()
    }

    /// Appends bytes from the socket.
    ///
    /// - Throws: ``RedisError`` with `.protocolViolation`; every later call throws the same error.
    package func feed(_ input: ByteBuffer) throws(RedisError) {
        if let failure { throw failure }
        pendingBytes += input.readableBytes
        guard pendingBytes <= maxBytes else { throw fail("a reply is larger than \(maxBytes) bytes") }
        let status = input.withUnsafeReadableBytes { raw in
            redisReaderFeed(reader, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
        }
        if status != REDIS_OK { throw readerFailure() }
    }

    /// Returns the next complete reply, or nil if it needs more bytes.
    ///
    /// - Throws: ``RedisError`` with `.protocolViolation`; every later call throws the same error.
    package func next() throws(RedisError) -> RedisReply? {
        if let failure { throw failure }
        var reply: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &reply) == REDIS_OK else { throw readerFailure() }
        guard reply != nil else { return nil }
        defer {
            nodes = []
            bytes = ByteBuffer()
        }
        // The bytes that the reader still holds belong to later replies.
        pendingBytes = max(0, Int(reader.pointee.len) - Int(reader.pointee.pos))
        guard let value = RedisReply(nodes: nodes, bytes: bytes) else {
            // hiredis 1.x reads types of RESP3 for which the table has no callback.
            throw fail("Redis sent a reply of a type that RESP2 does not have")
        }
        return value
    }

    private func readerFailure() -> RedisError {
        guard !hasTooManyNodes else { return fail("a reply has more than \(maxNodes) values") }
        let text = withUnsafeBytes(of: reader.pointee.errstr) { raw in
            String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
        }
        return fail("Redis sent what is no reply: \(text)")
    }

    private func fail(_ message: String) -> RedisError {
        let error = RedisError(.protocolViolation, message, mayHaveBeenApplied: true)
        failure = error
        (nodes, bytes) = ([], ByteBuffer())
        return error
    }

    // MARK: Called by hiredis

    /// A pointer that tells hiredis "there is an object". Nothing follows it.
    private static var object: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: 1) }

    /// Appends a value.
    ///
    /// - Returns: Nil if the reply has too many values; hiredis reports this as being out of
    ///   memory.
    private func append(_ node: RedisReply.Node) -> UnsafeMutableRawPointer? {
        guard nodes.count < maxNodes else {
            hasTooManyNodes = true
            return nil
        }
        nodes.append(node)
        return Self.object
    }

    private func append(string: UnsafeMutablePointer<CChar>?, count: Int, type: Int32) -> UnsafeMutableRawPointer? {
        let kind: RedisReply.Kind =
            switch type {
            case REDIS_REPLY_ERROR: .error
            case REDIS_REPLY_STATUS: .status
            default: .string
            }
        let offset = bytes.writerIndex
        if let string { bytes.writeBytes(UnsafeRawBufferPointer(start: string, count: count)) }
        return append(RedisReply.Node(kind: kind, value: Int64(offset), count: count))
    }

    private static var callbacks: redisReplyObjectFunctions {
        // The compiler infers the closures' types and the counts are converted, since hiredis 0.14
        // and 1.x declare them differently.
        var functions = redisReplyObjectFunctions()
        functions.createString = { task, string, count in
            guard let task, let decoder = decoder(task.pointee.privdata) else { return nil }
            return decoder.append(string: string, count: Int(count), type: .init(task.pointee.type))
        }
        functions.createArray = { task, count in
            guard let task, let decoder = decoder(task.pointee.privdata) else { return nil }
            return decoder.append(RedisReply.Node(kind: .array, count: Int(count)))
        }
        functions.createInteger = { task, value in
            guard let task, let decoder = decoder(task.pointee.privdata) else { return nil }
            return decoder.append(RedisReply.Node(kind: .integer, value: Int64(value)))
        }
        functions.createNil = { task in
            guard let task, let decoder = decoder(task.pointee.privdata) else { return nil }
            return decoder.append(RedisReply.Node(kind: .null))
        }
        functions.freeObject = { _ in }
        return functions
    }
}

/// A function outside of the class, so that the callbacks capture nothing.
private func decoder(_ pointer: UnsafeMutableRawPointer?) -> RedisReplyDecoder? {
    pointer.map { Unmanaged<RedisReplyDecoder>.fromOpaque($0).takeUnretainedValue() }
}
