import Crypto
package import NIOCore

/// Digests that tell a request sent again from another one.
package enum Digest {
    /// The first 128 bits of the SHA-256 of `bytes`, as 32 hexadecimal digits.
    package static func short(_ bytes: ByteBuffer) -> String {
        var hash = SHA256()
        bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        let digest = hash.finalize()
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: 32) { text in
            var index = 0
            for byte in digest.prefix(16) {
                text[index] = digits[Int(byte >> 4)]
                text[index + 1] = digits[Int(byte & 15)]
                index += 2
            }
            return index
        }
    }
}
