import NIOCore

extension ByteBuffer {
    /// Puts a chunk of HTTP/1.1's chunked transfer coding around the readable bytes (RFC 9112, section 7.1): their number in hexadecimal, then they
    /// themselves. Copies them only where there is no room in front of them or behind, or where they are shared. Does nothing where there are none, since
    /// that would be the last chunk.
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
