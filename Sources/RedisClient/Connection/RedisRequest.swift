import Locks
import NIOCore

/// A command on its way, with whoever waits for its reply.
struct RedisRequest: Sendable {
    let command: RedisCommand
    let deadline: NIODeadline
    /// Called once, on the connection's event loop.
    let completion: @Sendable (Result<RedisReply, RedisError>) -> Void
    /// Nil for a caller that cannot leave.
    let waiter: RedisWaiter?
}

/// A task that waits for one or more replies. It can leave; the request then keeps its place in the queue of replies, so that
/// no reply is given to another.
final class RedisWaiter: Sendable {
    private struct State {
        var continuation: CheckedContinuation<[Result<RedisReply, RedisError>], Never>?
        var replies: [Result<RedisReply, RedisError>] = []
        var isCancelled = false
        /// Whether the requests are sent; nil while none of them has come up.
        var isSent: Bool?
    }

    private let state = Guarded(State())
    private let expected: Int

    init(expected: Int) {
        self.expected = expected
    }

    /// Whether a request of this waiter is to be sent. Decided once for all of them: a transaction of which only the beginning is sent would
    /// swallow what others send after it.
    func claim() -> Bool {
        state.withLock { state in
            let isSent = state.isSent ?? !state.isCancelled
            state.isSent = isSent
            return isSent
        }
    }

    /// - Returns: False when the task was cancelled already; it is resumed then.
    func wait(_ continuation: CheckedContinuation<[Result<RedisReply, RedisError>], Never>) -> Bool {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.continuation = continuation }
            return state.isCancelled
        }
        if isCancelled { continuation.resume(returning: [.failure(RedisError.neverSent)]) }
        return !isCancelled
    }

    func received(_ result: Result<RedisReply, RedisError>) {
        let done = state.withLock {
            state -> (CheckedContinuation<[Result<RedisReply, RedisError>], Never>, [Result<RedisReply, RedisError>])? in
            state.replies.append(result)
            guard state.replies.count == expected, let continuation = state.continuation else { return nil }
            state.continuation = nil
            return (continuation, state.replies)
        }
        if let (continuation, replies) = done { continuation.resume(returning: replies) }
    }

    func cancel() {
        let continuation = state.withLock { state in
            state.isCancelled = true
            defer { state.continuation = nil }
            return state.continuation
        }
        // It may have been sent already.
        continuation?.resume(returning: [
            .failure(RedisError(.cancelled, "the caller of a Redis command was cancelled", mayHaveBeenApplied: true))
        ])
    }
}
