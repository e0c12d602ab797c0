public import RedisClient

/// Says when something was written to a session. A hint: it may be late, lost or for nothing.
public struct SessionWakes: Sendable {
    /// Ends the wait as a write would; does not keep the subscription.
    public let signal: WakeSignal
    private let subscription: RedisSubscription

    init(signal: WakeSignal, subscription: RedisSubscription) {
        self.signal = signal
        self.subscription = subscription
    }

    /// Returns when something was written since the last call, or may have been, and after `timeout` in any case. What is read after the first
    /// return is no older than the subscription, unless it was the timeout.
    public func next(timeout: Duration) async { await signal.next(timeout: timeout) }
}

extension RedisSessionStore {
    /// Listens to a session's wake channel until the value is let go.
    public func wakes(of session: SessionID) -> SessionWakes {
        let signal = WakeSignal(eventLoop: client.subscriber.eventLoop)
        return SessionWakes(
            signal: signal, subscription: client.subscriber.subscribe(sharded: RedisKeys(session).wake) { _ in signal.wake() })
    }

    /// A signal of a task's own.
    public func signal() -> WakeSignal { WakeSignal(eventLoop: client.subscriber.eventLoop) }

    /// Listens to the channel on which this replica is told that a step was taken from it.
    public func messagesToReplica(_ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription {
        client.subscriber.subscribe(RedisKeys.replica(configuration.replica), handler)
    }
}
