/// The smallest rights under which everything works, as docs/operations.md gives them (a test holds the two together, and both against what is sent).
///
/// Every Redis that is started here has a user with them. Stores and replicas run as that user; whoever looks on and interferes is the
/// default user.
public enum AccessRules {
    public static let user = "agent"
    public static let password = "SECRET"
    /// Within a URL.
    public static let credentials = "\(user):\(password)@"

    /// Arguments of `ACL SETUSER` behind the name.
    public static let server = words(
        """
        on >\(password) resetkeys ~agent:* resetchannels &agent:* nocommands +ping +info +time +evalsha +eval +wait \
        +role +client|setname +select +multi +exec +hget +hset +hsetnx +hmget +hgetall +hdel +hlen +hkeys +hexists \
        +hincrby +llen +lindex +lrange +ltrim +rpush +del +xadd +xrange +xrevrange +pexpireat +persist +pttl +zadd \
        +zrem +zscore +zrangebyscore +zrevrangebyscore +publish +subscribe +unsubscribe
        """)
    public static let clusterNode = words(
        """
        on >\(password) resetkeys ~agent:* resetchannels &agent:* nocommands +ping +info +time +evalsha +eval +wait \
        +asking +cluster|slots +cluster|info +client|setname +multi +exec +hget +hset +hsetnx +hmget +hgetall +hdel \
        +hlen +hkeys +hexists +hincrby +llen +lindex +lrange +ltrim +rpush +del +xadd +xrange +xrevrange +pexpireat \
        +persist +pttl +zadd +zrem +zscore +zrangebyscore +zrevrangebyscore +publish +spublish +subscribe +unsubscribe \
        +ssubscribe +sunsubscribe
        """)
    public static let sentinel = words(
        """
        on >\(password) resetchannels &+switch-master nocommands +ping +client|setname \
        +sentinel|get-master-addr-by-name +subscribe +unsubscribe
        """)

    private static func words(_ rule: String) -> [String] { rule.split(separator: " ").map(String.init) }
}
