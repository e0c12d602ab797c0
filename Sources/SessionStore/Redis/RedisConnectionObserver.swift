/// Whoever wants to know what a connection says beside the replies to its commands. Called on the connection's event loop.
protocol RedisConnectionObserver: AnyObject, Sendable {
    /// The connection was made, at first or again: to Redis it is a new one, which has subscribed to nothing.
    func connected()
    func received(_ message: RedisMessage)
}

/// A message of pub/sub. It answers no command.
struct RedisMessage: Sendable {
    let channel: String
    let payload: String

    /// Nil for what is a reply: the confirmation of a subscription, among others.
    init?(_ reply: RedisReply) {
        guard reply.count == 3, let kind = reply[0]?.string, kind == "message" || kind == "smessage",
            let channel = reply[1]?.string, let payload = reply[2]?.string
        else { return nil }
        self.channel = channel
        self.payload = payload
    }
}
