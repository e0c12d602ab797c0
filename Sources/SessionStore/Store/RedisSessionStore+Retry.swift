import Logging
import RedisClient

extension RedisSessionStore {
    /// Runs `body` until it succeeds or a repetition makes no sense, at most for `patience`.
    ///
    /// After a lost reply it always repeats, since every script knows its token. A call that was
    /// certainly not applied is repeated only if `persistent` is set, or if another server has the
    /// key by now: a new request is better refused at once, a commit is not.
    ///
    /// - Parameter lane: Connections beside the usual ones reconnect on their own. While the usual
    ///   ones serve, the call waits for the others.
    func attempt<Value: Sendable>(
        for patience: Duration,
        persistent: Bool = false,
        over lane: RedisLane = .usual,
        _ body: () async throws(RedisError) -> Value
    ) async throws(StoreError) -> Value {
        let deadline = ContinuousClock.now.advanced(by: patience)
        var pause = Duration.milliseconds(20)
        var mayHaveBeenApplied = false
        while true {
            do {
                return try await body()
            } catch {
                // A key of a wrong type stays so.
                if error.code == .wrongType, !mayHaveBeenApplied { throw StoreError(.damaged, error.message) }
                mayHaveBeenApplied = mayHaveBeenApplied || error.mayHaveBeenApplied
                let again =
                    mayHaveBeenApplied || (persistent && error.isTransient)
                    || (lane != .usual && error.isTransient && client.isReady)
                    || (client.configuration.topology != .single && error.isOfTopology)
                if error.code == .cancelled || !again || ContinuousClock.now + pause >= deadline {
                    throw StoreError(error, mayHaveBeenApplied: mayHaveBeenApplied)
                }
                logger.debug("redis: sending again", metadata: ["error": "\(error)"])
            }
            // Jitter, so that replicas that lost the same Redis do not return at the same moment.
            try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, .milliseconds(500))
        }
    }
}

extension StoreError {
    init(_ error: RedisError, mayHaveBeenApplied: Bool) {
        let code: Code =
            if mayHaveBeenApplied {
                .outcomeUnknown
            } else if error.code == .cancelled {
                .cancelled
            } else if error.code == .overloaded {
                .overloaded
            } else {
                .unavailable
            }
        self.init(code, "\(error)")
    }
}
