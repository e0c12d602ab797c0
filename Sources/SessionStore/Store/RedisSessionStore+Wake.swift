package import RedisClient

/// Signals that a replica has written to a session. A signal is a hint: it may be late, lost or for
/// nothing.
package struct SessionWakes: Sendable {
    /// Ends the wait as a write would. Holding it does not keep the subscription.
    package let signal: WakeSignal
    private let subscription: RedisSubscription

    init(signal: WakeSignal, subscription: RedisSubscription) {
        self.signal = signal
        self.subscription = subscription
    }

    /// Returns when a replica has written since the last call, or may have, and after `timeout` in
    /// any case. The caller then reads. What it reads after the first return is no older than the
    /// subscription, unless the timeout ended the wait.
    package func next(timeout: Duration) async { await signal.next(timeout: timeout) }
}

extension RedisSessionStore {
    /// Subscribes to a session's wake channel until the value is released.
    package func wakes(of session: SessionID) -> SessionWakes {
        let signal = WakeSignal(eventLoop: client.subscriber.eventLoop)
        return SessionWakes(
            signal: signal, subscription: client.subscriber.subscribe(sharded: keys(session).wake) { _ in signal.wake() })
    }

    /// Returns a signal without a subscription.
    package func signal() -> WakeSignal { WakeSignal(eventLoop: client.subscriber.eventLoop) }

    /// Subscribes to the channel that tells this replica that a step was taken from it.
    package func messagesToReplica(_ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription {
        client.subscriber.subscribe(keyspace.replica(configuration.replica), handler)
    }
}
