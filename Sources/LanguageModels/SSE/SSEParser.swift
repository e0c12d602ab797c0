import Glibc
package import NIOCore

/// One event of an event stream.
package struct SSEEvent: Sendable, Equatable {
    /// The `event` field; `message` if there was none.
    package var name: String
    /// The `data` fields, joined with line feeds. Shares the storage of the chunk if it lies in one
    /// line.
    package var data: ByteBuffer
}

/// The stream holds a line, or an event, longer than allowed.
package struct SSEEventTooLarge: Error, Sendable, Equatable {
    /// The bound in bytes.
    package var limit: Int
}

/// Reads `text/event-stream` as it arrives (WHATWG HTML, section 9.2.6, "Interpreting an event
/// stream").
///
/// Lines may end with CR, LF or CRLF, and chunks may end anywhere. `id` and `retry` are ignored:
/// nothing is resumed. An event that no empty line has closed at the end of the stream is dropped,
/// as the standard says, unless ``finish()`` asks for it.
///
/// Two things are read beside the standard, since models' servers send them and the standard gives
/// them no other meaning: a line that begins with `{` is data without its field name, and JSON that
/// follows JSON in one event is an event of its own.
package struct SSEParser: Sendable {
    private static let dataField = ByteBuffer(string: "data")
    private static let eventField = ByteBuffer(string: "event")

    private let maxEventBytes: Int
    /// The bytes that have not been read as a line yet.
    private var pending = ByteBuffer()
    /// How many bytes of `pending` are known to hold no line end.
    private var scanned = 0
    private var isAtStart = true
    private var lastLineEndedWithCR = false
    private var name: String?
    private var data: ByteBuffer?
    /// An event that data of the next one has closed.
    private var closed: SSEEvent?

    /// - Parameter maxEventBytes: The bound on one line and on the data of one event.
    package init(maxEventBytes: Int) {
        self.maxEventBytes = maxEventBytes
    }

    /// Appends the next bytes of the stream; ``next()`` then returns the events that they complete.
    /// Copies only the bytes that have to be joined with an incomplete line of the previous chunk.
    package mutating func append(_ chunk: ByteBuffer) {
        if pending.readableBytes == 0 {
            pending = chunk
        } else {
            pending.writeImmutableBuffer(chunk)
        }
    }

    /// Returns the next complete event; nil when more bytes are needed.
    package mutating func next() throws(SSEEventTooLarge) -> SSEEvent? {
        if isAtStart, !skipByteOrderMark() { return nil }
        while let line = try nextLine() {
            if line.readableBytes > 0 {
                try takeField(line)
                if closed != nil, let event = closed.take() { return event }
                continue
            }
            if let event = takeEvent() { return event }
        }
        return nil
    }

    /// Returns the next event of a stream that has ended, whether it was closed or not; nil at the
    /// end.
    package mutating func finish() throws(SSEEventTooLarge) -> SSEEvent? {
        if let event = try next() { return event }
        if pending.readableBytes > 0 {
            let line = pending
            pending.clear()
            scanned = 0
            isAtStart = false
            try takeField(line)
            if let event = closed.take() { return event }
        }
        return takeEvent()
    }

    private mutating func takeEvent() -> SSEEvent? {
        let event = data.map { SSEEvent(name: name ?? "message", data: $0) }
        name = nil
        data = nil
        return event
    }

    /// - Returns: False while it is undecided whether the stream begins with a byte order mark.
    private mutating func skipByteOrderMark() -> Bool {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let start = pending.readableBytesView.prefix(mark.count)
        guard mark.starts(with: start) else {
            isAtStart = false
            return true
        }
        guard start.count == mark.count else { return false }
        pending.moveReaderIndex(forwardBy: mark.count)
        isAtStart = false
        return true
    }

    private mutating func nextLine() throws(SSEEventTooLarge) -> ByteBuffer? {
        if lastLineEndedWithCR, let first = pending.readableBytesView.first {
            if first == UInt8(ascii: "\n") { pending.moveReaderIndex(forwardBy: 1) }
            lastLineEndedWithCR = false
        }
        let start = scanned
        let end = pending.withUnsafeReadableBytes { bytes in
            // In windows: a search for one kind of line end must not run far beyond the other.
            var from = start
            while from < bytes.count {
                let to = min(from + 1024, bytes.count)
                let feed = bytes.index(of: "\n", from: from, to: to)
                let end = bytes.index(of: "\r", from: from, to: feed)
                if end < to { return end }
                from = to
            }
            return bytes.count
        }
        guard end <= maxEventBytes else { throw SSEEventTooLarge(limit: maxEventBytes) }
        guard end < pending.readableBytes else {
            scanned = end
            return nil
        }
        scanned = 0
        guard let line = pending.readSlice(length: end), let terminator = pending.readInteger(as: UInt8.self) else { return nil }
        lastLineEndedWithCR = terminator == UInt8(ascii: "\r")
        return line
    }

    private mutating func takeField(_ line: ByteBuffer) throws(SSEEventTooLarge) {
        var value = line
        let nameLength = line.withUnsafeReadableBytes { $0.index(of: ":", from: 0, to: $0.count) }
        value.moveReaderIndex(forwardBy: min(nameLength + 1, line.readableBytes))
        if value.getInteger(at: value.readerIndex, as: UInt8.self) == UInt8(ascii: " ") { value.moveReaderIndex(forwardBy: 1) }
        let field = line.getSlice(at: line.readerIndex, length: nameLength)
        if field == Self.dataField {
            try takeData(value)
        } else if field == Self.eventField {
            // An empty name means the default.
            name = value.readableBytes > 0 ? String(buffer: value) : nil
        } else if line.getInteger(at: line.readerIndex, as: UInt8.self) == UInt8(ascii: "{") {
            try takeData(line)
        }
    }

    private mutating func takeData(_ value: ByteBuffer) throws(SSEEventTooLarge) {
        guard var joined = data else {
            data = value
            return
        }
        if Self.isValue(joined, before: value) {
            // Only the blank line between them is missing. The name was that of the first one.
            closed = takeEvent()
            data = value
            return
        }
        guard joined.readableBytes + 1 + value.readableBytes <= maxEventBytes else { throw SSEEventTooLarge(limit: maxEventBytes) }
        data = nil
        joined.writeInteger(UInt8(ascii: "\n"))
        joined.writeImmutableBuffer(value)
        data = joined
    }

    /// Returns whether `next` cannot be more of the JSON text that `data` is: nowhere in JSON an
    /// object's end is followed by a bracket, and no line break stands within a string.
    private static func isValue(_ data: ByteBuffer, before next: ByteBuffer) -> Bool {
        guard let last = data.readableBytesView.last(where: { !isBlank($0) }), last == UInt8(ascii: "}"),
            let first = next.readableBytesView.first(where: { !isBlank($0) })
        else { return false }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}

extension UnsafeRawBufferPointer {
    /// Returns the first index of `character` in `start..<end`, or `end`.
    fileprivate func index(of character: Unicode.Scalar, from start: Int, to end: Int) -> Int {
        guard start < end, end <= count, let base = baseAddress,
            let found = memchr(base + start, Int32(character.value), end - start)
        else { return end }
        return UnsafeRawPointer(found) - base
    }
}
