#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Standard error, for lines that are not log lines.
struct StandardError: TextOutputStream {
    mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = unsafe_write(rest)
                guard written > 0 else { return }
                rest = rest.dropFirst(written)
            }
        }
    }

    private func unsafe_write(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
        write(2, UnsafeBufferPointer(rebasing: bytes).baseAddress, bytes.count)
    }

    private func write(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, bytes, count)
        #elseif canImport(Musl)
        Musl.write(descriptor, bytes, count)
        #else
        Darwin.write(descriptor, bytes, count)
        #endif
    }
}
