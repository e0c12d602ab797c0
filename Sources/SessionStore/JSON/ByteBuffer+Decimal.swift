public import NIOCore

extension ByteBuffer {
    /// Writes a number in decimal digits, without a string in between.
    public mutating func writeDecimal(_ value: some FixedWidthInteger) {
        guard value >= 10 else {
            if value >= 0 { writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value)) } else { writeString(String(value)) }
            return
        }
        writeDecimal(value / 10)
        writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10))
    }
}
