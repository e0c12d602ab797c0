public import NIOCore

/// One entry of a session's event log, as Redis returned it: a batch of events that ends at `id`.
public struct LogEntry: Sendable {
    public var step: Int
    /// The sequence number of the last event in the entry; 0 for the entry that opens a step.
    public var lastSequence: Int
    /// Field and value, in order.
    public var fields: [(name: String, value: ByteBuffer)]

    public init(step: Int, lastSequence: Int, fields: [(name: String, value: ByteBuffer)]) {
        self.step = step
        self.lastSequence = lastSequence
        self.fields = fields
    }

    /// Returns the value of a field of an opening entry.
    public func opening(_ name: String) -> ByteBuffer? {
        fields.first { $0.name == name }?.value
    }
}
