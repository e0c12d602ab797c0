public import NIOCore
import Synchronization

/// The bytes on their way to one client: a bounded buffer between whoever produces events and the task that writes the socket.
///
/// The writer takes everything that is ready at once, so that many events cost one flush. A client that falls behind by more
/// than `limit` bytes is cut off, not waited for; it resumes from the log.
public final class ClientStream: Sendable {
    private struct State {
        var buffer = ByteBuffer()
        var reader: CheckedContinuation<ByteBuffer?, Never>?
        var isFinished = false
        var isClosed = false
        /// The reader has had everything.
        var isDelivered = false
        /// Ticks of the keep-alive clock since the last byte.
        var silentTicks = 0
        var onClose: [@Sendable () -> Void] = []

        mutating func markDelivered() {
            isDelivered = true
            onClose = []
        }
    }

    private let state = Mutex(State())
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
        let (reader, ready, isCut) = state.withLock { state -> (CheckedContinuation<ByteBuffer?, Never>?, ByteBuffer?, Bool) in
            guard !state.isClosed, !state.isFinished else { return (nil, nil, false) }
            let before = state.buffer.readableBytes
            body(&state.buffer)
            // Not every part of an answer is shown; what shows nothing is silence.
            guard state.buffer.readableBytes > before else { return (nil, nil, false) }
            state.silentTicks = 0
            if let reader = state.reader {
                state.reader = nil
                let ready = state.buffer
                state.buffer = ByteBuffer()
                return (reader, ready, false)
            }
            // One write may be larger than the limit; who was behind before it is cut off.
            return (nil, nil, before > limit)
        }
        reader?.resume(returning: ready)
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

    /// No more bytes will come; what was written is still delivered.
    func finish() {
        let reader = state.withLock { state in
            state.isFinished = true
            state.silentTicks = 0
            if state.reader != nil { state.markDelivered() }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: nil)
    }

    /// Everything that is ready, waiting for at least one byte; nil at the end. One reader only.
    public func next() async -> ByteBuffer? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> ByteBuffer?? in
                    if state.buffer.readableBytes > 0, !state.isClosed {
                        let ready = state.buffer
                        state.buffer = ByteBuffer()
                        return ready
                    }
                    if state.isFinished { state.markDelivered() }
                    if state.isFinished || state.isClosed || state.reader != nil { return .some(nil) }
                    state.reader = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            close()
        }
    }

    /// The client has left, or is cut off.
    public func close() {
        let (reader, handlers) = state.withLock { state in
            state.isClosed = true
            state.isDelivered = true
            state.buffer = ByteBuffer()
            defer {
                state.reader = nil
                state.onClose = []
            }
            return (state.reader, state.onClose)
        }
        reader?.resume(returning: nil)
        for handler in handlers { handler() }
    }

    /// One tick of the keep-alive clock: after `ticks` of silence a comment goes out. A client that has not taken the end of a finished
    /// stream by then is cut off: nothing else would end its connection.
    func tick(silenceLimit ticks: Int) {
        let (isDue, isStuck) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, !state.isDelivered else { return (false, false) }
            state.silentTicks += 1
            let isDue = state.silentTicks >= ticks
            return (isDue && !state.isFinished, isDue && state.isFinished)
        }
        if isDue { write { $0.writeStaticString(": keep-alive\n\n") } }
        if isStuck { close() }
    }
}
