/// CRC-16/XMODEM, which maps keys to slots (Redis Cluster specification, appendix A).
package enum CRC16 {
    private static let table: [UInt16] = (0..<256).map { index in
        (0..<8).reduce(UInt16(index) << 8) { crc, _ in crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
    }

    /// Returns the checksum of `bytes`. The slot of a key is the checksum modulo 16,384.
    package static func checksum(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { crc, byte in crc << 8 ^ table[Int((crc >> 8 ^ UInt16(byte)) & 0xFF)] }
    }
}
