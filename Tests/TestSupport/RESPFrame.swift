public import NIOCore

/// Finds the ends of RESP values: the part of the protocol that separates one request or reply from
/// the next.
public enum RESPFrame {
    /// Removes the first value from the buffer; returns nil if it is incomplete.
    public static func next(_ buffer: inout ByteBuffer) -> ByteBuffer? {
        let length = buffer.withUnsafeReadableBytes { bytes -> Int? in
            var position = 0
            var due = 1
            while due > 0 {
                guard position < bytes.count, let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
                let number = Int(String(decoding: bytes[position...].dropFirst().prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)) ?? 0
                due -= 1
                switch bytes[position] {
                case UInt8(ascii: "*"):
                    due += max(0, number)
                    position = end + 1
                case UInt8(ascii: "$"):
                    position = end + 1 + (number >= 0 ? number + 2 : 0)
                default:
                    position = end + 1
                }
            }
            return position <= bytes.count ? position : nil
        }
        return length.flatMap { buffer.readSlice(length: $0) }
    }

    /// Returns the words of a request. Replaces invalid UTF-8.
    public static func words(_ request: ByteBuffer) -> [String] {
        var rest = request
        guard let header = line(&rest), header.hasPrefix("*") else { return [] }
        var words: [String] = []
        while let header = line(&rest), header.hasPrefix("$"), let length = Int(header.dropFirst()),
            let word = rest.readString(length: length)
        {
            words.append(word)
            rest.moveReaderIndex(forwardBy: min(2, rest.readableBytes))
        }
        return words
    }

    static func isPush(_ reply: ByteBuffer) -> Bool {
        guard reply.readableBytes > 1, reply.getInteger(at: reply.readerIndex) == UInt8(ascii: "*") else { return false }
        let head = reply.getString(at: reply.readerIndex, length: min(reply.readableBytes, 24)) ?? ""
        return ["message\r\n", "pmessage\r\n", "smessage\r\n"].contains { head.contains("\r\n" + $0) }
    }

    private static func line(_ buffer: inout ByteBuffer) -> String? {
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\r")) else { return nil }
        let text = buffer.readString(length: end - buffer.readerIndex)
        buffer.moveReaderIndex(forwardBy: min(2, buffer.readableBytes))
        return text
    }
}
