public import NIOCore

/// A run of events on their way into a session's log: one stream entry, whose id is that of the
/// last event.
///
/// A text delta is stored bare, in a field `token` or `reasoning`; any other event as the name of
/// its SSE event with its JSON. The first event's sequence number is ``firstSequence``; each later
/// one's is one more.
public struct LoggedEvents: Sendable {
    /// The names an event can have in the log.
    public enum Name: String, Sendable {
        /// A text delta, without JSON around it.
        case token
        /// A delta of the model's reasoning, likewise; only if clients may see it.
        case reasoning
        /// The stored assistant message.
        case message
        /// The error that ends the step.
        case error
        /// The end of the step.
        case done
        /// The step starts again, in place of an earlier one.
        case restart
    }

    private struct Item {
        var name: Name
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
        items.append(Item(name: .token, end: bytes.writerIndex))
    }

    /// Appends a piece of the model's reasoning.
    public mutating func append(reasoning: String) {
        bytes.writeString(reasoning)
        items.append(Item(name: .reasoning, end: bytes.writerIndex))
    }

    /// Appends an event with its JSON.
    public mutating func append(_ name: Name, json: ByteBuffer) {
        bytes.writeImmutableBuffer(json)
        items.append(Item(name: name, end: bytes.writerIndex))
    }

    /// Removes and returns all events; those that are added next are a batch of their own.
    public mutating func takeAll() -> LoggedEvents {
        var taken = LoggedEvents(firstSequence: nextSequence)
        swap(&taken, &self)
        return taken
    }

    /// Appends later events, which must begin where these end.
    public mutating func append(contentsOf later: LoggedEvents) {
        let base = bytes.writerIndex
        bytes.writeImmutableBuffer(later.bytes)
        items.append(contentsOf: later.items.map { Item(name: $0.name, end: base + $0.end) })
    }

    /// Calls `body` with each event's name and bytes, in order.
    public func forEach(_ body: (Name, ByteBuffer) -> Void) {
        var start = bytes.readerIndex
        for item in items {
            if let slice = bytes.getSlice(at: start, length: item.end - start) { body(item.name, slice) }
            start = item.end
        }
    }
}
