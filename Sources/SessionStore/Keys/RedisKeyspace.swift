import RedisClient

/// The keys of one deployment: all of them, and its channels, begin with its prefix, so that two
/// deployments can share a Redis.
package struct RedisKeyspace: Sendable, Hashable {
    /// 1–32 characters of `A-Z a-z 0-9 _ -`.
    package let prefix: String

    package static let standard = RedisKeyspace(checked: "agent")

    private init(checked prefix: String) {
        self.prefix = prefix
    }

    /// Returns nil if `prefix` is empty, longer than 32 characters, or contains another character.
    package init?(_ prefix: String) {
        let isAllowed = prefix.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default:
                false
            }
        }
        guard 1...32 ~= prefix.utf8.count, isAllowed else { return nil }
        self.prefix = prefix
    }

    /// The number of sorted sets of an index: they spread it over a Cluster's nodes.
    package static let bucketCount = 16

    /// Last activity → session of a tenant.
    package func index(_ tenant: TenantID = .standard, bucket: Int) -> String {
        "\(prefix):sessions:\(tenant.isStandard ? "default" : tenant.text):\(bucket)"
    }

    /// Hints of all tenants: when to read a session → session. Sweepers read them.
    package func running(bucket: Int) -> String { "\(prefix):running:\(bucket)" }

    /// Last activity → session of one user.
    ///
    /// - Parameter subject: As a session's state has it; not empty.
    package func sessions(of subject: String, in tenant: TenantID) -> String {
        sessions(ofEncoded: Account.encoded(subject), in: tenant)
    }

    func sessions(ofEncoded subject: String, in tenant: TenantID) -> String {
        "\(prefix):{s:\(tenant.text)/\(subject)}:sessions"
    }

    /// Last activity → tenant, without the standard one. Sweepers look at the index of each.
    package var tenants: String { prefix + ":tenants" }
    /// When to go on → erasure. Sweepers perform them.
    package var erasures: String { prefix + ":erasures" }
    /// What holds for all sessions: the layout.
    package var meta: String { prefix + ":meta" }
    /// Last sign of life → replica.
    package var replicas: String { prefix + ":replicas" }
    /// The slot for steps that two replicas were lost with: until when the step keeps others like
    /// it waiting → its session.
    package var suspects: String { prefix + ":suspects" }

    /// The pub/sub channel that tells a replica that a step was taken from it.
    package func replica(_ name: String) -> String { "\(prefix):replica:\(name)" }
}
