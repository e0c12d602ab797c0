public import NIOCore
public import SessionStore

/// Turns the events of one stream into the bytes of one protocol.
///
/// A ``ClientStream`` owns its encoder. It calls it under its lock, event by event in their order,
/// on the thread that has the event, such as the event loop that reads the model's socket. So an
/// encoder never blocks, and a text delta should cost it no allocation. Item ids, open blocks and
/// sequence numbers are the encoder's own state.
public protocol StreamEncoder: Sendable {
    /// Appends the bytes of an event, if the protocol has any for it.
    ///
    /// - Parameters:
    ///   - event: The event.
    ///   - id: The id by which a client that has this event resumes; nil where it cannot resume
    ///     after this event.
    ///   - bytes: The bytes that wait for the client.
    mutating func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer)

    /// Appends the bytes of a signal, if the protocol has any for it.
    mutating func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer)
}

/// One thing that a client learns of its stream, and not of a step.
public enum StreamSignal: Sendable {
    /// The stream was silent for a while and goes on.
    case keepAlive
    /// This replica stops. The stream ends here, and the client resumes on another replica at once.
    case resumeElsewhere
    /// The step goes on, or will, but this replica cannot follow it now. The stream ends here, and
    /// the client resumes later.
    case resumeLater
    /// The client's credential has ended. The stream ends here, and the client resumes with another
    /// one. The step goes on.
    case credentialEnded
}

/// The encoder of a stream, and the bytes that wait for the client.
struct StreamOutput: Sendable {
    /// Gets its storage with the first byte after the consumer has taken everything.
    var bytes = ByteBuffer()
    private var encoder: any StreamEncoder

    init(_ encoder: any StreamEncoder) {
        self.encoder = encoder
    }

    mutating func emit(_ event: TurnEvent, id: EventID? = nil) {
        encoder.encode(event, id: id, into: &bytes)
    }

    mutating func emit(_ signal: StreamSignal) {
        encoder.encode(signal, into: &bytes)
    }
}
