/// When a connection is made, given up and made again, as a value: it is told what happened and says what to do.
struct RedisConnectionMachine: Sendable {
    enum State: Equatable, Sendable {
        /// Nothing is under way; after `failures` attempts in a row that failed.
        case idle(failures: Int)
        /// The socket is being opened and the handshake sent.
        case connecting(failures: Int)
        case ready
        /// Shut down for good.
        case closed
    }

    enum Action: Equatable, Sendable {
        case none
        case connect
        /// Wait with full jitter, at most this many times the base, and then connect.
        case connectLater(doublings: Int)
        /// Send what waits for a connection.
        case sendWaiting
    }

    /// What becomes of a command.
    enum Admission: Equatable, Sendable {
        case send
        /// Until the attempt that is under way has ended.
        case wait
        case fail(RedisError.Code)
    }

    private(set) var state = State.idle(failures: 0)

    mutating func start() -> Action {
        guard case .idle(let failures) = state else { return .none }
        state = .connecting(failures: failures)
        return .connect
    }

    func admit() -> Admission {
        switch state {
        case .ready: .send
        // The first attempt after a loss is waited for. Later ones are not: callers must not pile up while Redis is away.
        case .idle(failures: 0), .connecting(failures: 0): .wait
        case .idle, .connecting: .fail(.connectionFailed)
        case .closed: .fail(.closed)
        }
    }

    mutating func connected() -> Action {
        guard case .connecting = state else { return .none }
        state = .ready
        return .sendWaiting
    }

    /// The attempt failed, or the connection was lost.
    mutating func lost() -> Action {
        switch state {
        case .connecting(let failures):
            state = .idle(failures: failures + 1)
            return .connectLater(doublings: min(failures, 16))
        case .ready:
            // At once, and then with growing pauses: most losses are a server that restarts or a proxy that was reloaded.
            state = .connecting(failures: 0)
            return .connect
        case .idle, .closed:
            return .none
        }
    }

    mutating func shutDown() {
        state = .closed
    }
}
