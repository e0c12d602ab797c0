import Locks
import Logging
public import NIOCore

/// All subscriptions of this process, over one connection, for any number of listeners.
///
/// Pub/sub loses messages: Redis drops those that are published while the connection is down. After
/// each reconnect a listener receives ``Signal/subscribed``. Listeners must use messages for speed
/// alone, never for correctness. A user without the right to subscribe receives no messages.
public final class RedisSubscriber: RedisSubscriptions {
    /// A call of a listener.
    public enum Signal: Sendable, Equatable {
        /// Redis has confirmed the subscription, for the first time or again. Messages published
        /// before may be lost.
        case subscribed
        /// The payload of a message, as UTF-8.
        case message(String)
    }

    /// Called on an event loop, or within `subscribe`. Must not block.
    public typealias Handler = @Sendable (Signal) -> Void

    private struct State {
        var table = SubscriptionTable()
        var hasWarned = false
    }

    /// The interval of liveness checks. A connection whose peer vanished delivers no messages and
    /// no error.
    static let checkInterval = Duration.seconds(5)

    /// The channels to subscribe to, and the commands for it.
    enum Kind: Sendable {
        case anywhere
        /// Sharded channels of one node of a Cluster. `onMoved` receives the error when the node
        /// refuses a channel.
        case shard(onMoved: @Sendable (RedisError) -> Void)

        var subscribe: String { if case .shard = self { "SSUBSCRIBE" } else { "SUBSCRIBE" } }
        var unsubscribe: String { if case .shard = self { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" } }
    }

    private let connection: RedisConnection
    private let kind: Kind
    private let state = Guarded(State())
    private let logger: Logger

    init(
        configuration: RedisConfiguration, locator: (any RedisLocator)? = nil, kind: Kind = .anywhere, eventLoop: any EventLoop,
        logger: Logger
    ) {
        connection = RedisConnection(configuration: configuration, locator: locator, eventLoop: eventLoop, logger: logger)
        self.kind = kind
        self.logger = logger
    }

    /// The event loop on which messages arrive.
    public var eventLoop: any EventLoop { connection.eventLoop }

    func start() { connection.start(observer: self) }
    func shutDown() { connection.shutDown() }
    /// Reconnects to `address`, where the server is now.
    func follow(_ address: RedisConfiguration.Address) { connection.follow(address) }
    /// Closes a connection to `address`, which must not be used any more.
    func leave(_ address: RedisConfiguration.Address) { connection.leave(address) }

    /// Does the same as ``subscribe(_:_:)``: one server has all slots.
    public func subscribe(sharded channel: String, _ handler: @escaping Handler) -> RedisSubscription { subscribe(channel, handler) }

    /// Calls `handler` with each message on `channel`, until the subscription is cancelled or
    /// released.
    ///
    /// The first listener of a channel sends `SUBSCRIBE`, the last one to leave sends
    /// `UNSUBSCRIBE`.
    public func subscribe(_ channel: String, _ handler: @escaping Handler) -> RedisSubscription {
        // Sent under the lock, so that the commands have the order of the calls.
        let (listener, stands) = state.withLock { state in
            let (listener, due, stands) = state.table.add(handler, to: channel)
            if let due { send(due) }
            return (listener, stands)
        }
        if stands { handler(.subscribed) }
        return RedisSubscription { [self] in leave(channel, listener) }
    }

    private func leave(_ channel: String, _ listener: UInt64) {
        state.withLock { state in
            guard state.table.remove(listener, from: channel) else { return }
            // If this fails, messages without listeners arrive until the next reconnect.
            connection.submit(RedisCommand(kind.unsubscribe, channel)) { _ in }
        }
    }

    /// Sends one channel per command, since Redis confirms each channel with a reply of its own.
    private func send(_ attempt: SubscriptionTable.Attempt) {
        connection.submit(RedisCommand(kind.subscribe, attempt.channel)) { [self] result in
            switch result {
            case .success: answered(attempt, error: nil)
            case .failure(let error): answered(attempt, error: error)
            }
        }
    }

    private func answered(_ attempt: SubscriptionTable.Attempt, error: RedisError?) {
        let (listeners, warns) = state.withLock { state in
            let warns = error?.code == .notPermitted && !state.hasWarned
            if warns { state.hasWarned = true }
            return (state.table.answered(attempt, succeeded: error == nil), warns)
        }
        if warns, let error {
            logger.warning("redis: this user may not subscribe; streams are told later than they could be", metadata: ["error": "\(error)"])
        }
        for listener in listeners { listener(.subscribed) }
        if let error, case .shard(let onMoved) = kind { onMoved(error) }
    }

    /// Sends `PING`, whose timeout closes a dead connection, and retries refused subscriptions.
    public func check() {
        connection.submit(RedisCommand("PING")) { _ in }
        state.withLock { state in
            for attempt in state.table.failed() { send(attempt) }
        }
    }
}

extension RedisSubscriber: RedisConnectionObserver {
    func connected() {
        state.withLock { state in
            for attempt in state.table.connected() { send(attempt) }
        }
    }

    func received(_ message: RedisMessage) {
        guard let payload = message.payload else { return ended(message.channel) }
        let listeners = state.withLock { $0.table.listeners(of: message.channel) }
        for listener in listeners { listener(.message(payload)) }
    }

    /// Handles a node's notice that a slot has left it. The node refuses the next attempt, and
    /// names the new node.
    private func ended(_ channel: String) {
        state.withLock { state in
            if let due = state.table.ended(channel) { send(due) }
        }
    }
}

/// A listener's place on a channel. Cancelling or releasing it leaves the channel.
public final class RedisSubscription: Sendable {
    private let onCancel: Guarded<(@Sendable () -> Void)?>

    init(onCancel: @escaping @Sendable () -> Void) {
        self.onCancel = Guarded(onCancel)
    }

    deinit { cancel() }

    /// Leaves the channel. A message that is being delivered may still call the handler once.
    public func cancel() {
        let onCancel = onCancel.withLock { handler in
            defer { handler = nil }
            return handler
        }
        onCancel?()
    }
}
