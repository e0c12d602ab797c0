import Locks
public import NIOCore

/// The bytes on their way to one client: a bounded buffer between whoever produces events and whoever writes the socket.
///
/// The consumer takes everything that is ready at once, so that many events cost one flush. A client that falls behind by more
/// than `limit` bytes is cut off, not waited for; it resumes from the log.
public final class ClientStream: Sendable {
    /// What there is for the consumer.
    public enum Portion: Sendable {
        /// Everything that is ready. In front of it is room for ``headroom`` bytes of the consumer's. After the last ones comes the end.
        case bytes(ByteBuffer, isLast: Bool)
        /// Nothing yet.
        case nothing
        /// Everything was taken.
        case end
        /// The client has left, or was cut off.
        case left
    }

    /// Bytes that the consumer may put in front of a portion's without copying it: the buffer's reader index is at least this.
    public static let headroom = 16
    /// Keep-alive periods in which a client takes the rest of a finished stream, or of what it has been given of it.
    private static let patience = 4
    /// Of a buffer that has nothing yet. Most portions are one token.
    private static let capacity = 256

    private struct State {
        /// Gets its storage with the first byte after everything was taken.
        var buffer = ByteBuffer()
        /// Wakes the consumer that has taken everything.
        var wake: (@Sendable () -> Void)?
        var isFinished = false
        var isClosed = false
        /// The consumer has had everything.
        var isDelivered = false
        /// Ticks of the keep-alive clock since the last byte.
        var silentTicks = 0
        var onClose: [@Sendable () -> Void] = []
    }

    private let state = Guarded(State())
    private let limit: Int

    /// - Parameter limit: Bytes that the client may fall behind.
    public init(limit: Int = 1 << 20) {
        self.limit = limit
    }

    /// Whether bytes are still wanted.
    public var isOpen: Bool { state.withLock { !$0.isClosed } }
    /// Whether more bytes may come.
    public var isLive: Bool { state.withLock { !$0.isClosed && !$0.isFinished } }
    /// Whether the client is so far behind that whoever reads from a store should wait for it.
    var isBehind: Bool { state.withLock { $0.buffer.readableBytes > limit / 2 } }

    /// Has `handler` called once, when the client has left or was cut off before the end; at once where that has happened.
    public func whenClosed(_ handler: @escaping @Sendable () -> Void) {
        let isClosed = state.withLock { state in
            if !state.isClosed, !state.isDelivered { state.onClose.append(handler) }
            return state.isClosed
        }
        if isClosed { handler() }
    }

    /// Adds bytes. Does nothing once the client has left.
    func write(_ body: (inout ByteBuffer) -> Void) {
        add(isLast: false, body)
    }

    /// No more bytes will come; what was written is still delivered, and these as the last.
    func finish(_ body: (inout ByteBuffer) -> Void = { _ in }) {
        add(isLast: true, body)
    }

    private func add(isLast: Bool, _ body: (inout ByteBuffer) -> Void) {
        let (wake, isCut) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
            guard !state.isClosed, !state.isFinished else { return (nil, false) }
            let before = state.buffer.readableBytes
            if before == 0 {
                state.buffer.reserveCapacity(Self.capacity)
                state.buffer.moveWriterIndex(to: Self.headroom)
                state.buffer.moveReaderIndex(to: Self.headroom)
            }
            body(&state.buffer)
            state.isFinished = isLast
            // Not every part of an answer is shown; what shows nothing is silence.
            guard state.buffer.readableBytes > before || isLast else { return (nil, false) }
            state.silentTicks = 0
            // One write may be larger than the limit; who was behind before it is cut off.
            return (state.wake.take(), before > limit && state.buffer.readableBytes > before)
        }
        wake?()
        if isCut { close() }
    }

    /// Asks the client to go on elsewhere. An event stream that ends without `done` is resumed by its client, after as many milliseconds as it says.
    func handOver() {
        write { $0.writeStaticString(": this replica stops\nretry: 100\n\n") }
    }

    /// Asks the client to come again: the step goes on, or will, but nothing can be heard of it now.
    func giveUp() {
        write { $0.writeStaticString(": nothing is heard of this step at the moment\nretry: 1000\n\n") }
    }

    /// Everything that is ready. One consumer only.
    ///
    /// - Parameter wake: Called once, on any thread, when there is more than what this returns, the end included.
    public func take(thenWake wake: (@Sendable () -> Void)? = nil) -> Portion {
        state.withLock { state in
            guard !state.isClosed else { return .left }
            if state.buffer.readableBytes == 0, state.isFinished {
                state.isDelivered = true
                state.onClose = []
                state.wake = nil
                return .end
            }
            state.wake = wake
            guard state.buffer.readableBytes > 0 else { return .nothing }
            if state.isFinished { state.silentTicks = 0 }
            defer { state.buffer = ByteBuffer() }
            return .bytes(state.buffer, isLast: state.isFinished)
        }
    }

    /// Everything that is ready, waiting for at least one byte; nil at the end. A consumer that is cancelled has left.
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
                let isReady = state.isClosed || state.isFinished || state.buffer.readableBytes > 0
                if !isReady { state.wake = { continuation.resume() } }
                return isReady
            }
            if isReady { continuation.resume() }
        }
    }

    /// The client has left, or is cut off.
    public func close() {
        let (wake, handlers) = state.withLock { state in
            state.isClosed = true
            state.isDelivered = true
            state.buffer = ByteBuffer()
            defer { state.onClose = [] }
            return (state.wake.take(), state.onClose)
        }
        wake?()
        for handler in handlers { handler() }
    }

    /// One tick of the keep-alive clock: after `ticks` of silence a comment goes out. A client that has not taken the end of a finished
    /// stream after ``patience`` times as many is cut off: nothing else would end its connection.
    func tick(silenceLimit ticks: Int) {
        let (isDue, isStuck) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, !state.isDelivered else { return (false, false) }
            state.silentTicks += 1
            let isDue = state.silentTicks >= ticks
            return (isDue && !state.isFinished, state.isFinished && state.silentTicks >= ticks * Self.patience)
        }
        if isDue { write { $0.writeStaticString(": keep-alive\n\n") } }
        if isStuck { close() }
    }
}
