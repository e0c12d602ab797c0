import Locks
import Logging

/// Logs why Redis refuses writes, in Redis's words: immediately, then once a minute while it lasts.
/// All connections of a pool share one.
final class WriteRefusals: Sendable {
    static let interval = Duration.seconds(60)

    private let logger: Logger
    private let logged = Guarded<[(code: RedisError.Code, at: ContinuousClock.Instant)]>([])

    init(logger: Logger) {
        self.logger = logger
    }

    func noticed(_ error: RedisError, by address: RedisConfiguration.Address, now: ContinuousClock.Instant = .now) {
        let isDue = logged.withLock { logged in
            if let last = logged.first(where: { $0.code == error.code }), now < last.at + Self.interval { return false }
            logged.removeAll { $0.code == error.code }
            logged.append((error.code, now))
            return true
        }
        guard isDue else { return }
        logger.warning("redis: writes are refused", metadata: ["redis": "\(address)", "error": "\(error)"])
    }
}

extension RedisError {
    /// Whether Redis is up, but refuses writes.
    var refusesWrites: Bool {
        switch code {
        case .readOnly, .outOfMemory, .writesRefused, .noReplicas: true
        default: false
        }
    }
}
