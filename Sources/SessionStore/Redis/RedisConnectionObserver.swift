/// Whoever wants to know what a connection says beside the replies to its commands. Called on the connection's event loop.
protocol RedisConnectionObserver: AnyObject, Sendable {
    /// The connection was made, at first or again: to Redis it is a new one, which has subscribed to nothing.
    func connected()
    func received(_ message: RedisMessage)
}

/// A message of pub/sub. It answers no command.
struct RedisMessage: Sendable {
    let channel: String
    /// Nil when a node of a Cluster says that it has given the channel up, with its slot.
    let payload: String?

    /// Nil for what is a reply to `oldest`, the command whose reply comes next: the confirmation of a subscription, among others.
    init?(_ reply: RedisReply, oldest: RedisCommand?) {
        guard reply.count == 3, let kind = reply[0]?.string, let channel = reply[1]?.string else { return nil }
        self.channel = channel
        switch kind {
        case "message", "smessage":
            guard let payload = reply[2]?.string else { return nil }
            self.payload = payload
        case "sunsubscribe" where oldest?.name != "SUNSUBSCRIBE" || oldest?.argument(1) != channel:
            payload = nil
        default:
            return nil
        }
    }
}
