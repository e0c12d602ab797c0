package import NIOCore

extension ByteBuffer {
    /// Appends a number in decimal digits, without an intermediate string.
    package mutating func writeDecimal(_ value: Int) {
        var magnitude = value.magnitude
        var length = value < 0 ? 2 : 1
        var rest = magnitude
        while rest >= 10 {
            rest /= 10
            length += 1
        }
        writeWithUnsafeMutableBytes(minimumWritableBytes: length) { bytes in
            for index in stride(from: length - 1, through: 0, by: -1) {
                bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
                magnitude /= 10
            }
            if value < 0 { bytes[0] = UInt8(ascii: "-") }
            return length
        }
    }
}
