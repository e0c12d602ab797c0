import Logging
import RedisClient

extension RedisSessionStore {
    /// Runs `body` until it succeeds or sending it again makes no sense, at most for `patience`.
    ///
    /// A reply that was lost is always asked for again, since every script knows its token. What was certainly not applied is
    /// tried again only where `persistent` is set, or where another server has it by now: a new request is better refused at once, a commit
    /// is not.
    ///
    /// - Parameter lane: Connections beside the usual ones are made again at a moment of their own. While the usual ones serve, theirs are
    ///   waited for.
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
                // A key of a wrong type stays one.
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
            // Full jitter, so that replicas that lost the same Redis do not come back in step.
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

extension RedisError {
    /// Whether the server is not the one that has the key, or not yet: Sentinel or the Cluster has moved it, or is about to.
    var isOfTopology: Bool {
        switch code {
        case .readOnly, .masterDown, .clusterDown, .tryAgain, .moved, .ask: true
        default: false
        }
    }

    /// Whether the same command may succeed soon.
    var isTransient: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .timeout, .loading, .readOnly, .masterDown, .clusterDown, .tryAgain, .moved, .ask,
            .noReplicas, .busy, .overloaded, .outOfMemory, .writesRefused:
            true
        default:
            false
        }
    }
}
