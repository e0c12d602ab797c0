import JSONText
import NIOCore

/// Joins a character that a server has cut in two between one piece of text and the next: the
/// halves of a surrogate pair, or the bytes of a UTF-8 sequence. A part that stays alone becomes
/// U+FFFD.
struct CharacterJoiner: Sendable {
    /// The beginning of a character, in UTF-8; half of a pair takes three bytes (WTF-8).
    private var rest = ByteBuffer()

    /// Whether the next piece begins with a whole character.
    var isEmpty: Bool { rest.readableBytes == 0 }

    /// Returns the whole characters of a piece and of what the pieces before have left over.
    ///
    /// - Parameter isBroken: Whether the piece may have halves of characters.
    mutating func join(_ piece: JSONSlice, isBroken: Bool) -> String? {
        guard isBroken || !isEmpty else { return piece.string }
        guard var bytes = piece.brokenText else { return nil }
        if !isEmpty {
            var joined = rest
            joined.writeBuffer(&bytes)
            rest.clear()
            bytes = joined
        }
        bytes.joinLeadingSurrogates()
        let length = bytes.withUnsafeReadableBytes { Self.lengthOfWholeText($0) }
        guard var whole = bytes.readSlice(length: length) else { return nil }
        rest = bytes
        whole.replaceSurrogates()
        return String(buffer: whole)
    }

    /// Returns U+FFFD for a part that has stayed alone; nil if there is none.
    mutating func finish() -> String? {
        guard !isEmpty else { return nil }
        rest.clear()
        return "\u{FFFD}"
    }

    /// Returns the number of bytes before a character that breaks off at the end.
    private static func lengthOfWholeText(_ bytes: UnsafeRawBufferPointer) -> Int {
        for length in 1...3 where length <= bytes.count {
            let start = bytes.count - length
            switch bytes[start] {
            case 0x80...0xBF: continue
            // A high half: its low half may come.
            case 0xED where length == 3 && 0xA0...0xAF ~= bytes[start + 1]: return start
            case 0xC2...0xDF where length < 2, 0xE0...0xEF where length < 3, 0xF0...0xF4 where length < 4: return start
            default: return bytes.count
            }
        }
        return bytes.count
    }
}

extension ByteBuffer {
    /// Replaces the two halves that the bytes begin with, three bytes each, by one sequence of four
    /// bytes.
    fileprivate mutating func joinLeadingSurrogates() {
        guard let halves = getBytes(at: readerIndex, length: 6), halves[0] == 0xED, 0xA0...0xAF ~= halves[1], halves[3] == 0xED,
            0xB0...0xBF ~= halves[4]
        else { return }
        let high = UInt32(halves[1] & 0x0F) << 6 | UInt32(halves[2] & 0x3F)
        let low = UInt32(halves[4] & 0x0F) << 6 | UInt32(halves[5] & 0x3F)
        guard let character = Unicode.Scalar(0x1_0000 + high << 10 + low).flatMap({ UTF8.encode($0) }) else { return }
        moveReaderIndex(forwardBy: 2)
        setBytes(character, at: readerIndex)
    }

    /// Replaces each half that has stayed alone by U+FFFD, which takes as many bytes.
    fileprivate mutating func replaceSurrogates() {
        withUnsafeMutableReadableBytes { bytes in
            var index = 0
            while index + 2 < bytes.count {
                if bytes[index] == 0xED, bytes[index + 1] >= 0xA0 {
                    (bytes[index], bytes[index + 1], bytes[index + 2]) = (0xEF, 0xBF, 0xBD)
                    index += 3
                } else {
                    index += 1
                }
            }
        }
    }
}
