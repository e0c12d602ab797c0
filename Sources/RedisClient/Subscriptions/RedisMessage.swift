/// A pub/sub message: a push from Redis that is not the reply to a command.
struct RedisMessage: Sendable {
    let channel: String
    /// Nil when a node of a Cluster reports that the channel's slot has left it.
    let payload: String?

    /// Nil if `reply` is not a message, for example because it confirms a subscription. `oldest` is
    /// the command whose reply is due next.
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
