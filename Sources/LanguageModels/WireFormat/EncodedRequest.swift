public import NIOCore

/// A request's body, and the changes that its server may ask for when it refuses it.
///
/// The messages that the body was written from are gone by then, so each change is an edit of the
/// bytes.
public struct EncodedRequest: Sendable {
    /// Bytes that a concession replaces.
    public struct Edit: Sendable {
        public var concession: Concessions
        /// From the first readable byte on.
        public var range: Range<Int>
        public var replacement: ByteBuffer

        public init(concession: Concessions, range: Range<Int>, replacement: ByteBuffer) {
            self.concession = concession
            self.range = range
            self.replacement = replacement
        }
    }

    /// The bytes of the body.
    public private(set) var bytes: ByteBuffer
    /// In the order of their ranges, which do not overlap.
    private var edits: [Edit]

    /// - Parameters:
    ///   - bytes: The request.
    ///   - edits: In the order of their ranges, which do not overlap.
    public init(_ bytes: ByteBuffer, edits: [Edit] = []) {
        self.bytes = bytes
        self.edits = edits
    }

    /// What can be conceded.
    public var concessions: Concessions { edits.reduce(into: []) { $0.formUnion($1.concession) } }

    /// Applies the edits of some concessions. The others stay possible, and all other bytes stay as
    /// they are.
    public mutating func concede(_ concessions: Concessions) {
        let growth = edits.reduce(0) { $0 + max(0, $1.replacement.readableBytes - $1.range.count) }
        var changed = ByteBufferAllocator().buffer(capacity: bytes.readableBytes + growth)
        var kept: [Edit] = []
        var position = 0
        func copy(upTo end: Int) {
            if let part = bytes.getSlice(at: bytes.readerIndex + position, length: end - position) { changed.writeImmutableBuffer(part) }
            position = end
        }
        for var edit in edits {
            copy(upTo: edit.range.lowerBound)
            if concessions.isSuperset(of: edit.concession) {
                changed.writeImmutableBuffer(edit.replacement)
                position = edit.range.upperBound
            } else {
                let start = changed.writerIndex
                copy(upTo: edit.range.upperBound)
                edit.range = start..<changed.writerIndex
                kept.append(edit)
            }
        }
        copy(upTo: bytes.readableBytes)
        (bytes, edits) = (changed, kept)
    }
}
