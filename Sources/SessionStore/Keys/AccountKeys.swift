/// Every key name of an account. The keys of one account share its hash tag, so that they lie in
/// one Cluster slot.
package struct AccountKeys: Sendable {
    /// The start of every key of the account with the hash tag: enough to find the slot. No
    /// session's name begins with `t:` and has a slash, so that the keys of a session differ.
    package let prefix: String

    package init(_ account: Account, in keyspace: RedisKeyspace = .standard) {
        prefix = "\(keyspace.prefix):{t:\(account.text)}:"
    }

    /// Steps that run → until when their slots live.
    package var running: String { prefix + "running" }
    /// Lost steps that wait for a slot → until when others leave the next one to them.
    package var waiting: String { prefix + "waiting" }
    /// When the account has used what it may by then.
    package var rates: String { prefix + "rates" }
    /// What the account has used in a month, by day.
    package func usage(_ month: String) -> String { prefix + "usage:" + month }

    /// The keys that limits need.
    package var ofLimits: [String] { [running, waiting, rates] }
}
