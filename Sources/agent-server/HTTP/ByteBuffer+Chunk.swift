import NIOCore

extension ByteBuffer {
    /// Puts the frame of a chunk of HTTP/1.1's chunked transfer coding around the readable bytes
    /// (RFC 9112, section 7.1): their number in hexadecimal, then the bytes. Copies the bytes only
    /// if the buffer has no room before or behind them, or is shared. Does nothing to an empty
    /// buffer, which would become the last chunk.
    mutating func frameAsChunk() {
        guard readableBytes > 0 else { return }
        let size = String(readableBytes, radix: 16)
        let start = readerIndex - size.utf8.count - 2
        if start >= 0 {
            setString(size, at: start)
            setString("\r\n", at: readerIndex - 2)
            moveReaderIndex(to: start)
        } else {
            var framed = ByteBuffer()
            framed.reserveCapacity(readableBytes + size.utf8.count + 4)
            framed.writeString(size)
            framed.writeStaticString("\r\n")
            framed.writeImmutableBuffer(self)
            self = framed
        }
        writeStaticString("\r\n")
    }
}
