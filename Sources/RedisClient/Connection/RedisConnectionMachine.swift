import DequeModule
import NIOCore

/// One connection to Redis as a value: its commands, its handshake, its timeouts, and when it connects
/// again.
///
/// An event goes in, and the effects to execute come out. The machine knows no socket, no clock and no
/// task. ``RedisConnectionCore`` executes the effects, and reports the events of the current socket only.
struct RedisConnectionMachine: Sendable {
    enum State: Sendable {
        /// No attempt to connect is under way. The last `failures` attempts failed.
        case idle(failures: Int)
        /// The socket is being opened.
        case connecting(failures: Int)
        /// The socket is open, and Redis has not replied to all of the handshake.
        case handshaking(failures: Int, RedisHandshake)
        case ready
        /// The server is no longer the right one, because of `error`. Commands in flight still get their
        /// replies; after the last one the connection is closed. Other commands wait for the next
        /// connection.
        case leaving(RedisError)
        /// Shut down for good.
        case closed
    }

    private(set) var state = State.idle(failures: 0)
    /// Its address is that of the server that was located last.
    private(set) var configuration: RedisConfiguration
    /// Written commands, in the order of their replies.
    private(set) var inFlight: Deque<RedisRequest> = []
    /// Commands that wait for a connection.
    private(set) var waiting: Deque<RedisRequest> = []
    /// When bytes arrived last, and when a complete reply did, if the configuration times silence.
    private var lastBytes = NIODeadline.uptimeNanoseconds(0)
    private var lastReply = NIODeadline.uptimeNanoseconds(0)
    /// Whether the current series of failed attempts has been logged.
    private var hasLogged = false
    /// Why there is no connection.
    private var lastLoss: RedisError?

    init(configuration: RedisConfiguration) {
        self.configuration = configuration
    }

    var isReady: Bool { if case .ready = state { true } else { false } }

    // MARK: Connecting

    /// Begins an attempt, unless one is under way or the connection is in use.
    mutating func start() -> Reconnect {
        guard case .idle(let failures) = state else { return .never }
        state = .connecting(failures: failures)
        return .now
    }

    /// Notes where the server is.
    ///
    /// - Returns: False if the connection was shut down meanwhile.
    mutating func located(_ address: RedisConfiguration.Address) -> Bool {
        guard case .connecting = state else { return false }
        configuration.address = address
        return true
    }

    /// Begins the handshake on a socket that was opened.
    ///
    /// - Returns: The commands to write; nil if the connection was shut down meanwhile.
    mutating func opened(_ roleCheck: RoleCheck, now: NIODeadline) -> [RedisCommand]? {
        guard case .connecting(let failures) = state else { return nil }
        let handshake = RedisHandshake(configuration, roleCheck, deadline: now + TimeAmount(configuration.connectTimeout))
        state = .handshaking(failures: failures, handshake)
        return handshake.commands
    }

    /// Ends a connection that was lost, or an attempt that failed.
    ///
    /// - Returns: Nil if there was neither.
    mutating func lost(_ error: RedisError) -> Loss? {
        let reconnect: Reconnect
        switch state {
        case .connecting(let failures), .handshaking(let failures, _):
            state = .idle(failures: failures + 1)
            reconnect = .later(doublings: min(failures, 16))
        case .ready, .leaving:
            // The first attempt begins at once: most losses are a server that restarts, or a proxy that
            // was reloaded. The pauses between further attempts grow.
            state = .connecting(failures: 0)
            reconnect = .now
        case .idle, .closed:
            return nil
        }
        lastLoss = error
        let isLogged = !hasLogged
        if case .idle = state { hasLogged = true }
        let sent = inFlight
        inFlight = []
        var unsent: Deque<RedisRequest> = []
        if !isWorthWaiting { swap(&unsent, &waiting) }
        return Loss(
            error: error, sent: sent, unsent: unsent, refusal: noConnection(.connectionFailed), isLogged: isLogged,
            reconnect: reconnect)
    }

    /// Closes the connection for good.
    ///
    /// - Parameter error: The error of all commands that have no reply.
    mutating func shutDown(_ error: RedisError) -> Loss {
        state = .closed
        defer { (inFlight, waiting) = ([], []) }
        var refusal = error
        refusal.mayHaveBeenApplied = false
        return Loss(error: error, sent: inFlight, unsent: waiting, refusal: refusal, isLogged: false, reconnect: .never)
    }

    // MARK: Commands

    /// Decides on a batch of commands.
    mutating func admit(_ requests: [RedisRequest]) -> Admission {
        switch state {
        case .ready:
            return .write
        case .closed:
            return .fail(noConnection(.closed))
        case .idle, .connecting, .handshaking, .leaving:
            guard isWorthWaiting else { return .fail(noConnection(.connectionFailed)) }
            waiting.append(contentsOf: requests)
            return .wait
        }
    }

    /// Notes that a command of an admitted batch was written.
    mutating func written(_ request: RedisRequest) {
        inFlight.append(request)
    }

    /// Whether commands wait for the attempt that is under way. They wait only for the first attempt after
    /// a loss, so that callers do not pile up while Redis is away.
    private var isWorthWaiting: Bool {
        switch state {
        case .idle(failures: 0), .connecting(failures: 0), .handshaking(failures: 0, _), .leaving: true
        case .idle, .connecting, .handshaking, .ready, .closed: false
        }
    }

    private func noConnection(_ code: RedisError.Code) -> RedisError {
        RedisError(code, "there is no connection to Redis at \(configuration)" + (lastLoss.map { ": \($0)" } ?? ""))
    }

    // MARK: Replies

    /// Notes that bytes arrived.
    mutating func heard(now: @autoclosure () -> NIODeadline) {
        if configuration.timesSilence { lastBytes = now() }
    }

    /// Matches a reply with its command.
    mutating func received(_ result: Result<RedisReply, RedisError>, now: @autoclosure () -> NIODeadline) -> ReplyAction {
        switch state {
        case .ready:
            if configuration.timesSilence { lastReply = now() }
            guard let request = inFlight.popFirst() else { return .lose(lost(.unexpectedReply)) }
            return .complete(request, result)
        case .leaving(let error):
            if configuration.timesSilence { lastReply = now() }
            guard let request = inFlight.popFirst() else { return .lose(lost(.unexpectedReply)) }
            return inFlight.isEmpty ? .completeLast(request, result, abandon(error)) : .complete(request, result)
        case .handshaking(let failures, var handshake):
            switch handshake.received(result) {
            case .incomplete:
                state = .handshaking(failures: failures, handshake)
                return .none
            case .complete:
                state = .ready
                hasLogged = false
                defer { waiting = [] }
                return .connected(waiting)
            case .refused(let error):
                return .lose(lost(error))
            case .notMaster(let reply):
                return .reject(lost(RedisError(.readOnly, "Redis at \(configuration.address) is no master, but \(reply)")))
            }
        case .idle, .connecting, .closed:
            return .none
        }
    }

    // MARK: Another server

    /// The current server was demoted. It still replies to what was sent, and refuses writes; commands
    /// that were not sent wait for the new master.
    ///
    /// - Returns: Nil while commands are in flight.
    mutating func demoted(_ error: RedisError) -> Loss? {
        switch state {
        case .ready, .leaving: break
        case .idle, .connecting, .handshaking, .closed: return nil
        }
        state = .leaving(error)
        return inFlight.isEmpty ? abandon(error) : nil
    }

    /// The server at `address` is not to be used any more.
    ///
    /// - Returns: Nil if another server is used, and while commands are in flight.
    mutating func leave(_ address: RedisConfiguration.Address) -> Loss? {
        guard configuration.address == address else { return nil }
        let error = RedisError(.connectionLost, "Redis at \(address) is no master any more")
        if case .handshaking = state { return abandon(error) }
        return demoted(error)
    }

    /// The server is at `address` now.
    ///
    /// - Returns: Nil unless a connection to another address ends.
    mutating func follow(_ address: RedisConfiguration.Address) -> Loss? {
        switch state {
        case .handshaking, .ready, .leaving:
            guard configuration.address != address else { return nil }
            return abandon(
                RedisError(.connectionLost, "Redis's master is at \(address) now, not at \(configuration.address)"))
        case .idle, .connecting, .closed:
            return nil
        }
    }

    private mutating func abandon(_ error: RedisError) -> Loss? {
        var error = error
        error.mayHaveBeenApplied = true
        return lost(error)
    }

    // MARK: Timeouts

    /// When ``timeOut(now:)`` has something to do, unless a reply arrives before; nil if nothing waits.
    var nextDeadline: NIODeadline? {
        guard let oldest = replyDeadline else { return waiting.first?.deadline }
        guard let first = waiting.first else { return oldest }
        return min(oldest, first.deadline)
    }

    /// When the oldest command has waited too long for its reply.
    private var replyDeadline: NIODeadline? {
        if case .handshaking(_, let handshake) = state { return handshake.deadline }
        guard let oldest = inFlight.first else { return nil }
        guard configuration.timesSilence else { return oldest.deadline }
        // Bytes that arrived since the command was sent belong to its reply, or to an earlier one.
        let timeout = TimeAmount(configuration.commandTimeout)
        let begun = max(lastReply, oldest.deadline - timeout)
        let longest = begun + .nanoseconds(timeout.nanoseconds * Int64(RedisConfiguration.mostSilences))
        return max(oldest.deadline, min(lastBytes + timeout, longest))
    }

    /// Ends the commands that have waited too long.
    ///
    /// - Returns: Commands that fail because no connection was made in time, and the loss of a connection
    ///   whose server does not reply. That connection must go: a late reply must never meet the next
    ///   command.
    mutating func timeOut(now: NIODeadline) -> (unsent: [RedisRequest], loss: Loss?) {
        var unsent: [RedisRequest] = []
        while let request = waiting.first, request.deadline <= now {
            unsent.append(waiting.removeFirst())
        }
        guard let deadline = replyDeadline, deadline <= now else { return (unsent, nil) }
        let timeout = if case .handshaking = state { configuration.connectTimeout } else { configuration.commandTimeout }
        let error = RedisError(.timeout, "Redis did not answer within \(timeout.milliseconds) ms", mayHaveBeenApplied: true)
        return (unsent, lost(error))
    }
}
