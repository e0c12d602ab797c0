/// Which channels are listened to, by whom, and whether their subscriptions stand. A value: it is told what happened and says
/// what is to be sent, and whom to tell.
struct SubscriptionTable: Sendable {
    /// A `SUBSCRIBE` that is due. The answer to an earlier attempt says nothing of the present one.
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
        /// Refused, or not sent. Tried again with the next connection or check.
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
    /// - Returns: Its number, the subscription that is due where it is the channel's first, and whether the subscription stands already.
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

    /// - Returns: Whether it was the channel's last listener.
    mutating func remove(_ listener: UInt64, from name: String) -> Bool {
        guard channels[name]?.listeners.removeValue(forKey: listener) != nil, channels[name]?.listeners.isEmpty == true else {
            return false
        }
        channels[name] = nil
        return true
    }

    /// Redis has ended a subscription by itself.
    ///
    /// - Returns: The one that is due instead.
    mutating func ended(_ name: String) -> Attempt? {
        channels[name] == nil ? nil : request(name)
    }

    /// A new connection has subscribed to nothing.
    mutating func connected() -> [Attempt] {
        channels.keys.map { request($0) }
    }

    /// What was refused and is to be tried again.
    mutating func failed() -> [Attempt] {
        channels.filter { $0.value.phase == .failed }.keys.map { request($0) }
    }

    private mutating func request(_ name: String) -> Attempt {
        let attempt = nextNumber()
        channels[name]?.attempt = attempt
        channels[name]?.phase = .requested
        return Attempt(channel: name, number: attempt)
    }

    /// - Returns: The listeners to tell when the subscription stands.
    mutating func answered(_ attempt: Attempt, succeeded: Bool) -> [RedisSubscriber.Handler] {
        guard channels[attempt.channel]?.attempt == attempt.number else { return [] }
        channels[attempt.channel]?.phase = succeeded ? .subscribed : .failed
        return succeeded ? listeners(of: attempt.channel) : []
    }

    func listeners(of name: String) -> [RedisSubscriber.Handler] {
        channels[name].map { Array($0.listeners.values) } ?? []
    }
}
