/// The smallest rights with which the service works, as docs/operations.md lists them. A test
/// compares this list with the page, and both with the commands that the service sends.
///
/// Every Redis of this module has a user with these rights. Stores and replicas connect as that
/// user. Tests that inspect Redis or interfere with it connect as the default user.
public enum AccessRules {
    public static let user = "agent"
    public static let password = "SECRET"
    /// User and password in the form that a URL holds.
    public static let credentials = "\(user):\(password)@"

    /// The arguments of `ACL SETUSER` after the name.
    public static let server = Self.server(prefix: "agent")
    public static let clusterNode = Self.clusterNode(prefix: "agent")

    /// - Parameter prefix: What the deployment's keys and channels begin with.
    public static func server(prefix: String) -> [String] {
        words(
            """
            on >\(password) resetkeys ~\(prefix):* resetchannels &\(prefix):* nocommands +ping +info +time +evalsha +eval +wait \
            +role +client|setname +select +multi +exec +hget +hset +hsetnx +hmget +hgetall +hdel +hlen +hkeys +hexists \
            +hincrby +llen +lindex +lrange +ltrim +rpush +del +xadd +xrange +xrevrange +pexpireat +persist +pttl +zadd \
            +zcard +zrem +zremrangebyscore +zscore +zrangebyscore +zrevrangebyscore +publish +subscribe +unsubscribe
            """)
    }

    /// - Parameter prefix: What the deployment's keys and channels begin with.
    public static func clusterNode(prefix: String) -> [String] {
        words(
            """
            on >\(password) resetkeys ~\(prefix):* resetchannels &\(prefix):* nocommands +ping +info +time +evalsha +eval +wait \
            +asking +cluster|slots +cluster|info +client|setname +multi +exec +hget +hset +hsetnx +hmget +hgetall +hdel \
            +hlen +hkeys +hexists +hincrby +llen +lindex +lrange +ltrim +rpush +del +xadd +xrange +xrevrange +pexpireat \
            +persist +pttl +zadd +zcard +zrem +zremrangebyscore +zscore +zrangebyscore +zrevrangebyscore +publish \
            +spublish +subscribe +unsubscribe +ssubscribe +sunsubscribe
            """)
    }

    public static let sentinel = words(
        """
        on >\(password) resetchannels &+switch-master nocommands +ping +client|setname \
        +sentinel|get-master-addr-by-name +subscribe +unsubscribe
        """)

    private static func words(_ rule: String) -> [String] { rule.split(separator: " ").map(String.init) }
}
