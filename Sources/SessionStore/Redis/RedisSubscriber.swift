import Logging
public import NIOCore
import Synchronization

/// All of a replica's subscriptions to Redis's channels, over one connection, however many listen.
///
/// Pub/sub loses messages: those that are published while the connection is being made again reach nobody. Listeners are told
/// whenever their subscription stands anew, and must not depend on messages for more than speed. A user without the right to
/// subscribe hears nothing.
public final class RedisSubscriber: RedisSubscriptions {
    public enum Signal: Sendable, Equatable {
        /// The subscription stands, at first or again: what was published before may have gone unheard.
        case subscribed
        case message(String)
    }

    /// Called on an event loop, or by whoever subscribes; must not block.
    public typealias Handler = @Sendable (Signal) -> Void

    private struct State {
        var table = SubscriptionTable()
        var hasWarned = false
    }

    /// How often the connection is tried: one whose other end has vanished brings no messages and no error either.
    static let checkInterval = Duration.seconds(5)

    /// What is subscribed to, and with which commands.
    enum Kind: Sendable {
        case anywhere
        /// Channels of the slots of one node of a Cluster. `onMoved` is called when the node refuses a channel.
        case shard(onMoved: @Sendable (RedisError) -> Void)

        var subscribe: String { if case .shard = self { "SSUBSCRIBE" } else { "SUBSCRIBE" } }
        var unsubscribe: String { if case .shard = self { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" } }
    }

    private let connection: RedisConnection
    private let kind: Kind
    private let state = Mutex(State())
    private let logger: Logger

    init(
        configuration: RedisConfiguration, locator: (any RedisLocator)? = nil, kind: Kind = .anywhere, eventLoop: any EventLoop,
        logger: Logger
    ) {
        connection = RedisConnection(configuration: configuration, locator: locator, eventLoop: eventLoop, logger: logger)
        self.kind = kind
        self.logger = logger
    }

    /// Where messages arrive.
    public var eventLoop: any EventLoop { connection.eventLoop }

    func start() { connection.start(observer: self) }
    func shutDown() { connection.shutDown() }
    /// The server is at `address` now.
    func follow(_ address: RedisConfiguration.Address) { connection.follow(address) }
    /// The server at `address` is not to be used any more.
    func leave(_ address: RedisConfiguration.Address) { connection.leave(address) }

    public func subscribe(sharded channel: String, _ handler: @escaping Handler) -> RedisSubscription { subscribe(channel, handler) }

    /// Has `handler` called with every message on `channel` until the subscription is cancelled or let go.
    ///
    /// Redis is asked for the first listener of a channel and told when the last one leaves.
    public func subscribe(_ channel: String, _ handler: @escaping Handler) -> RedisSubscription {
        // Sent under the lock: the order of subscribing and leaving must be the order of the commands.
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
            // Should it fail, messages come that nobody listens to, until the connection is made again.
            connection.submit(RedisCommand(kind.unsubscribe, channel)) { _ in }
        }
    }

    /// One channel per command, since each channel is confirmed with a reply of its own.
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

    /// Asks whether the connection lives; it is closed and made again when no answer comes. Tries again what was refused.
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

    /// The node has given the channel's slot up. Asked once more, it says where the slot is.
    private func ended(_ channel: String) {
        state.withLock { state in
            if let due = state.table.ended(channel) { send(due) }
        }
    }
}

/// A listener's place on a channel. It is left when this is cancelled or let go.
public final class RedisSubscription: Sendable {
    private let onCancel: Mutex<(@Sendable () -> Void)?>

    init(onCancel: @escaping @Sendable () -> Void) {
        self.onCancel = Mutex(onCancel)
    }

    deinit { cancel() }

    /// The handler may be called once more, by a message that is being delivered.
    public func cancel() {
        let onCancel = onCancel.withLock { handler in
            defer { handler = nil }
            return handler
        }
        onCancel?()
    }
}
