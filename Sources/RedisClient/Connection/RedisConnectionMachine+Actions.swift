import DequeModule

/// What the machine tells its executor.
extension RedisConnectionMachine {
    /// When the next attempt to connect begins.
    enum Reconnect: Equatable, Sendable {
        case never
        case now
        /// After a pause with full jitter, of at most `2^doublings` times the configured base.
        case later(doublings: Int)
    }

    /// The fate of a batch of commands.
    enum Admission: Sendable {
        case write
        /// The batch waits for the connection.
        case wait
        case fail(RedisError)
    }

    /// The end of a connection, or of an attempt to connect.
    struct Loss: Sendable {
        let error: RedisError
        /// The commands in flight, which fail with ``error``.
        let sent: Deque<RedisRequest>
        /// Commands that waited in vain, which fail with ``refusal``.
        let unsent: Deque<RedisRequest>
        let refusal: RedisError
        /// Whether the log has a line about it. A series of failed attempts has one line.
        let isLogged: Bool
        let reconnect: Reconnect
    }

    /// The effect of a reply.
    enum ReplyAction: Sendable {
        case none
        case complete(RedisRequest, Result<RedisReply, RedisError>)
        /// The reply is the last one of a connection that is left.
        case completeLast(RedisRequest, Result<RedisReply, RedisError>, Loss?)
        /// The handshake is complete: these commands have waited for it.
        case connected(Deque<RedisRequest>)
        /// The server is not a master.
        case reject(Loss?)
        case lose(Loss?)
    }
}

extension RedisError {
    static let unexpectedReply = RedisError(
        .protocolViolation, "Redis sent a reply that nobody waits for", mayHaveBeenApplied: true)
}
