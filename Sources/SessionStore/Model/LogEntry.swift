package import NIOCore

/// One entry of a session's event log, as Redis returned it: a batch of events that ends at `id`.
package struct LogEntry: Sendable {
    package var step: Int
    /// The sequence number of the last event in the entry; 0 for the entry that opens a step.
    package var lastSequence: Int
    /// Field and value, in order.
    package var fields: [(name: String, value: ByteBuffer)]

    package init(step: Int, lastSequence: Int, fields: [(name: String, value: ByteBuffer)]) {
        self.step = step
        self.lastSequence = lastSequence
        self.fields = fields
    }

    /// Returns the value of a field of an opening entry.
    package func opening(_ name: String) -> ByteBuffer? {
        fields.first { $0.name == name }?.value
    }
}
