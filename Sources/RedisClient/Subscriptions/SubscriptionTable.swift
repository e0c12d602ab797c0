/// The listeners of each channel, and the state of each channel's subscription. A value: its
/// methods take events, and return the commands to send and the listeners to call.
struct SubscriptionTable: Sendable {
    /// A `SUBSCRIBE` to send. The number tells a reply to this attempt from a reply to an earlier
    /// one.
    struct Attempt: Sendable, Equatable {
        var channel: String
        var number: UInt64
    }

    private struct Channel {
        var listeners: [UInt64: RedisSubscriber.Handler] = [:]
        var attempt: UInt64 = 0
        var phase = Phase.requested
    }

    private enum Phase {
        case requested
        case subscribed
        /// Redis refused the command, or it was not sent. The next connection or check retries it.
        case failed
    }

    private var channels: [String: Channel] = [:]
    private var lastNumber: UInt64 = 0

    private mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    /// Adds a listener.
    ///
    /// - Returns: The listener's number; the command to send if it is the channel's first listener;
    ///   and whether Redis has already confirmed the subscription.
    mutating func add(_ handler: @escaping RedisSubscriber.Handler, to name: String) -> (listener: UInt64, due: Attempt?, stands: Bool) {
        let listener = nextNumber()
        if channels[name] != nil {
            channels[name]?.listeners[listener] = handler
            return (listener, nil, channels[name]?.phase == .subscribed)
        }
        let attempt = nextNumber()
        channels[name] = Channel(listeners: [listener: handler], attempt: attempt)
        return (listener, Attempt(channel: name, number: attempt), false)
    }

    /// Removes a listener.
    ///
    /// - Returns: Whether it was the channel's last one, so that an `UNSUBSCRIBE` is due.
    mutating func remove(_ listener: UInt64, from name: String) -> Bool {
        guard channels[name]?.listeners.removeValue(forKey: listener) != nil, channels[name]?.listeners.isEmpty == true else {
            return false
        }
        channels[name] = nil
        return true
    }

    /// Records that Redis ended a subscription on its own.
    ///
    /// - Returns: The command that subscribes again.
    mutating func ended(_ name: String) -> Attempt? {
        channels[name] == nil ? nil : request(name)
    }

    /// Records a new connection, which has no subscriptions yet.
    ///
    /// - Returns: The commands that subscribe to all channels again.
    mutating func connected() -> [Attempt] {
        channels.keys.map { request($0) }
    }

    /// Returns the commands that retry refused subscriptions.
    mutating func failed() -> [Attempt] {
        channels.filter { $0.value.phase == .failed }.keys.map { request($0) }
    }

    private mutating func request(_ name: String) -> Attempt {
        let attempt = nextNumber()
        channels[name]?.attempt = attempt
        channels[name]?.phase = .requested
        return Attempt(channel: name, number: attempt)
    }

    /// Records the outcome of an attempt.
    ///
    /// - Returns: The listeners to call, now that the subscription is confirmed.
    mutating func answered(_ attempt: Attempt, succeeded: Bool) -> [RedisSubscriber.Handler] {
        guard channels[attempt.channel]?.attempt == attempt.number else { return [] }
        channels[attempt.channel]?.phase = succeeded ? .subscribed : .failed
        return succeeded ? listeners(of: attempt.channel) : []
    }

    func listeners(of name: String) -> [RedisSubscriber.Handler] {
        channels[name].map { Array($0.listeners.values) } ?? []
    }
}
