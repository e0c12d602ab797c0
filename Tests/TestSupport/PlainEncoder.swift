public import AgentService
public import NIOCore
public import SessionStore

/// Writes the text of deltas without framing, and no bytes for other events.
public struct PlainEncoder: StreamEncoder {
    public init() {}

    public func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer) {
        if case .textDelta(let text) = event { bytes.writeString(text) }
    }

    public func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer) {
        if case .keepAlive = signal { bytes.writeString(": keep-alive\n\n") }
    }
}
