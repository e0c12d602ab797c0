public import NIOCore

/// A run of events on their way into a session's log: one stream entry, whose id is that of the
/// last event.
///
/// Each event is one field. The sequence number of the first event is ``firstSequence``, and that
/// of each later event is one more than that of the event before.
public struct LoggedEvents: Sendable {
    /// The names that an event's field has in the log. The log on disk holds them, so they never
    /// change.
    public enum Field: String, Sendable {
        /// A piece of the completion's text, bare.
        case token
        /// A piece of the model's reasoning, bare; only where clients are shown it.
        case reasoning
        /// The whole text, or a tool call, as a JSON object.
        case message
        /// Why the step failed, as a JSON object.
        case error
        /// How the step ended, as a JSON object.
        case done
        /// That the events of an earlier step are void, as a JSON object.
        case restart
    }

    private struct Item {
        var field: Field
        var end: Int
    }

    /// The sequence number of the first event.
    public private(set) var firstSequence: Int
    private var items: [Item] = []
    private var bytes = ByteBuffer()

    /// Makes an empty batch.
    ///
    /// - Parameter firstSequence: The sequence number of the next event to append.
    public init(firstSequence: Int) {
        self.firstSequence = firstSequence
    }

    /// Whether there are no events.
    public var isEmpty: Bool { items.isEmpty }
    /// The number of events.
    public var count: Int { items.count }
    /// The number of bytes of all events.
    public var byteCount: Int { bytes.readableBytes }
    /// The sequence number of the last event.
    public var lastSequence: Int { firstSequence + items.count - 1 }
    /// The sequence number of the event that would come next.
    public var nextSequence: Int { firstSequence + items.count }

    /// Appends a piece of the completion's text.
    public mutating func append(token: String) {
        bytes.writeString(token)
        items.append(Item(field: .token, end: bytes.writerIndex))
    }

    /// Appends a piece of the model's reasoning.
    public mutating func append(reasoning: String) {
        bytes.writeString(reasoning)
        items.append(Item(field: .reasoning, end: bytes.writerIndex))
    }

    /// Appends an event with its JSON.
    public mutating func append(_ field: Field, json: ByteBuffer) {
        append(field) { $0.writeImmutableBuffer(json) }
    }

    /// Adds an event whose value `write` appends.
    public mutating func append(_ field: Field, _ write: (inout ByteBuffer) -> Void) {
        write(&bytes)
        items.append(Item(field: field, end: bytes.writerIndex))
    }

    /// Removes and returns all events. An event that is added next begins a batch of its own.
    public mutating func takeAll() -> LoggedEvents {
        var taken = LoggedEvents(firstSequence: nextSequence)
        swap(&taken, &self)
        return taken
    }

    /// Adds the events that came after these; they must begin where these end.
    public mutating func append(contentsOf later: LoggedEvents) {
        let base = bytes.writerIndex
        bytes.writeImmutableBuffer(later.bytes)
        items.append(contentsOf: later.items.map { Item(field: $0.field, end: base + $0.end) })
    }

    /// Calls `body` with each event's field and value, in order.
    public func forEach(_ body: (Field, ByteBuffer) -> Void) {
        var start = bytes.readerIndex
        for item in items {
            if let slice = bytes.getSlice(at: start, length: item.end - start) { body(item.field, slice) }
            start = item.end
        }
    }
}
