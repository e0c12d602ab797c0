import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Standard error, for lines that are not log lines, and for the thread that writes log lines.
struct StandardError: TextOutputStream {
    var descriptor: Int32 = 2

    mutating func write(_ text: String) {
        _ = write(ByteBuffer(string: text))
    }

    /// Writes all bytes, as fast as the descriptor accepts them.
    ///
    /// - Returns: False if it accepts no more: its reader has gone, or the disk is full.
    @discardableResult
    mutating func write(_ buffer: ByteBuffer) -> Bool {
        buffer.withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = Self.write(descriptor, UnsafeRawBufferPointer(rebasing: rest))
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if written < 0, errno == EAGAIN || errno == EWOULDBLOCK {
                    // Another process may have made the descriptor non-blocking.
                    var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&writable, 1, 1000)
                } else if written == 0 || errno != EINTR {
                    return false
                }
            }
            return true
        }
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
        Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #else
        Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}
