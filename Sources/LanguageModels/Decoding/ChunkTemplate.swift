import JSONText
import NIOCore

/// Reads chunks that differ from an earlier one in a single JSON string.
///
/// The chunks of one completion are the same text over and over, but for the piece of the
/// completion in each. The bytes around the piece have been read before and mean what they meant
/// then, so comparing them replaces parsing them.
struct ChunkTemplate: Sendable {
    /// The chunk up to the string's opening quote, and from its closing quote on.
    private let head: ByteBuffer
    private let tail: ByteBuffer

    /// - Parameters:
    ///   - chunk: Valid JSON.
    ///   - string: A JSON string that was cut from `chunk`; nil is returned for any other.
    init?(_ chunk: ByteBuffer, around string: JSONSlice) {
        guard string.kind == .string, let range = string.range(in: chunk),
            let head = chunk.getSlice(at: chunk.readerIndex, length: range.lowerBound),
            let tail = chunk.getSlice(at: chunk.readerIndex + range.upperBound, length: chunk.readableBytes - range.upperBound)
        else { return nil }
        // Copies: a slice would keep all that was read from the socket with this chunk.
        self.head = ByteBuffer(bytes: head.readableBytesView)
        self.tail = ByteBuffer(bytes: tail.readableBytesView)
    }

    /// Returns the JSON string that `chunk` has in the place of the template's own; nil if anything
    /// else differs, or if that is not a valid string.
    func string(in chunk: ByteBuffer) -> JSONSlice? {
        let start = chunk.readerIndex + head.readableBytes
        let length = chunk.readableBytes - head.readableBytes - tail.readableBytes
        guard length >= 2, chunk.getSlice(at: chunk.readerIndex, length: head.readableBytes) == head,
            chunk.getSlice(at: start + length, length: tail.readableBytes) == tail,
            let literal = chunk.getSlice(at: start, length: length)
        else { return nil }
        // It must be one string from end to end: between the same two texts there could also be
        // `"a","b":"c"`.
        guard let slice = try? JSONSlice(parsing: literal), slice.kind == .string, slice.raw.readableBytes == length
        else { return nil }
        return slice
    }
}
