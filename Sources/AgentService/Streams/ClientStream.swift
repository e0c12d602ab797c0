import Locks
public import NIOCore
import SessionStore

/// The bytes on their way to one client: a bounded buffer between the producers of events and the
/// consumer that writes the socket.
///
/// The consumer takes all bytes that are ready at once, so that many events cost one flush. A
/// client that falls behind by more than `limit` bytes is cut off instead of waited for; it resumes
/// from the log.
public final class ClientStream: Sendable {
    /// What a consumer gets when it asks for bytes.
    public enum Portion: Sendable {
        /// All bytes that are ready, behind room for ``headroom`` bytes of the consumer's. After
        /// the last bytes comes the end.
        case bytes(ByteBuffer, isLast: Bool)
        /// No bytes yet.
        case nothing
        /// The consumer has taken all bytes.
        case end
        /// The client has left, or was cut off.
        case left
    }

    /// The bytes that the consumer may put in front of a portion without copying it: the buffer's
    /// reader index is at least this.
    public static let headroom = 16
    /// The keep-alive periods in which a client takes the rest of a finished stream, or at least a
    /// part of it.
    private static let patience = 4
    /// The capacity of a buffer that begins. Most portions are one text delta.
    private static let capacity = 256

    private struct State {
        var output: StreamOutput
        /// Wakes the consumer that has taken everything.
        var wake: (@Sendable () -> Void)?
        var isFinished = false
        var isClosed = false
        /// The consumer has taken the end.
        var isDelivered = false
        /// Ticks of the keep-alive clock since the last byte.
        var silentTicks = 0
        /// When the client's credential ends.
        var deadline: ContinuousClock.Instant?
        var onClose: [@Sendable () -> Void] = []
    }

    private let state: Guarded<State>
    private let limit: Int

    /// - Parameters:
    ///   - encoder: Turns the stream's events into bytes.
    ///   - limit: The bytes that the client may fall behind.
    public init(encoder: any StreamEncoder, limit: Int = 1 << 20) {
        state = Guarded(State(output: StreamOutput(encoder)))
        self.limit = limit
    }

    /// Whether the client still takes bytes.
    public var isOpen: Bool { state.withLock { !$0.isClosed } }
    /// Whether more bytes may come.
    public var isLive: Bool { state.withLock { !$0.isClosed && !$0.isFinished } }
    /// Whether the client is so far behind that a producer which reads from a store should wait for
    /// it.
    var isBehind: Bool { state.withLock { $0.output.bytes.readableBytes > limit / 2 } }

    /// Ends the stream when the client's credential ends, at the next tick of the keep-alive clock.
    /// The producers of its events go on without it.
    public func end(at deadline: ContinuousClock.Instant) {
        state.withLock { $0.deadline = deadline }
    }

    /// Calls `handler` once when the client leaves or is cut off before the end; at once if that
    /// has happened.
    public func whenClosed(_ handler: @escaping @Sendable () -> Void) {
        let isClosed = state.withLock { state in
            if !state.isClosed, !state.isDelivered { state.onClose.append(handler) }
            return state.isClosed
        }
        if isClosed { handler() }
    }

    /// Encodes the events that `body` emits, in one turn. Does nothing once the client has left.
    func write(_ body: (inout StreamOutput) -> Void) {
        add(isLast: false, body)
    }

    /// Encodes one event.
    func emit(_ event: TurnEvent) {
        write { $0.emit(event) }
    }

    /// Encodes a signal.
    func emit(_ signal: StreamSignal) {
        write { $0.emit(signal) }
    }

    /// Ends the stream with the events that `body` emits. The client still gets all earlier ones.
    func finish(_ body: (inout StreamOutput) -> Void = { _ in }) {
        add(isLast: true, body)
    }

    private func add(isLast: Bool, _ body: (inout StreamOutput) -> Void) {
        let (wake, isCut) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
            guard !state.isClosed, !state.isFinished else { return (nil, false) }
            let before = state.output.bytes.readableBytes
            if before == 0 {
                state.output.bytes.reserveCapacity(Self.capacity)
                state.output.bytes.moveWriterIndex(to: Self.headroom)
                state.output.bytes.moveReaderIndex(to: Self.headroom)
            }
            body(&state.output)
            state.isFinished = isLast
            // A protocol need not show every event; an event without bytes is silence.
            guard state.output.bytes.readableBytes > before || isLast else { return (nil, false) }
            state.silentTicks = 0
            // One write may be larger than the limit; a client that was behind before it is cut
            // off.
            return (state.wake.take(), before > limit && state.output.bytes.readableBytes > before)
        }
        wake?()
        if isCut { close() }
    }

    /// Returns all bytes that are ready. A stream has one consumer.
    ///
    /// - Parameter wake: Called once, on any thread, when there is more than this call returns, the
    ///   end included.
    public func take(thenWake wake: (@Sendable () -> Void)? = nil) -> Portion {
        state.withLock { state in
            guard !state.isClosed else { return .left }
            let bytes = state.output.bytes
            if bytes.readableBytes == 0, state.isFinished {
                state.isDelivered = true
                state.onClose = []
                state.wake = nil
                return .end
            }
            state.wake = wake
            guard bytes.readableBytes > 0 else { return .nothing }
            if state.isFinished { state.silentTicks = 0 }
            state.output.bytes = ByteBuffer()
            return .bytes(bytes, isLast: state.isFinished)
        }
    }

    /// Returns all bytes that are ready once there is at least one; nil at the end. A consumer that
    /// is cancelled has left.
    public func next() async -> ByteBuffer? {
        await withTaskCancellationHandler {
            while true {
                switch take() {
                case .bytes(let bytes, _): return bytes
                case .nothing: await ready()
                case .end, .left: return nil
                }
            }
        } onCancel: {
            close()
        }
    }

    /// Waits until there is something to take.
    private func ready() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isReady = state.withLock { state in
                let isReady = state.isClosed || state.isFinished || state.output.bytes.readableBytes > 0
                if !isReady { state.wake = { continuation.resume() } }
                return isReady
            }
            if isReady { continuation.resume() }
        }
    }

    /// Notes that the client has left, or cuts it off.
    public func close() {
        let (wake, handlers) = state.withLock { state in
            state.isClosed = true
            state.isDelivered = true
            state.output.bytes = ByteBuffer()
            defer { state.onClose = [] }
            return (state.wake.take(), state.onClose)
        }
        wake?()
        for handler in handlers { handler() }
    }

    /// Counts one tick of the keep-alive clock: after `ticks` of silence it signals that the stream
    /// lives, and after its deadline it ends. A client that has not taken the end of a finished stream after ``patience`` times as
    /// many is cut off: nothing else would end its connection.
    func tick(silenceLimit ticks: Int) {
        let (isDue, isStuck, isOver) = state.withLock { state -> (Bool, Bool, Bool) in
            guard !state.isClosed, !state.isDelivered else { return (false, false, false) }
            state.silentTicks += 1
            let isDue = state.silentTicks >= ticks
            let isOver = !state.isFinished && state.deadline.map { $0 <= .now } ?? false
            return (isDue && !state.isFinished, state.isFinished && state.silentTicks >= ticks * Self.patience, isOver)
        }
        if isOver { return finish { $0.emit(.credentialEnded) } }
        if isDue { emit(.keepAlive) }
        if isStuck { close() }
    }
}

extension ClientStream {
    /// Returns the stream of a step that no client listens to.
    static func closed() -> ClientStream {
        let stream = ClientStream(encoder: NoBytes())
        stream.close()
        return stream
    }

    private struct NoBytes: StreamEncoder {
        func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer) {}
        func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer) {}
    }
}
