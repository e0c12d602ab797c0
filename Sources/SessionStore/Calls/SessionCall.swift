import RedisClient

/// What a call on one session is made from.
protocol SessionCall: SendableMetatype {
    var store: RedisSessionStore { get }
    var keys: RedisKeys { get }
}

/// What a call on a session is made from that a client asked for.
protocol RequestedCall: SessionCall {
    /// Who asks for the session.
    var requester: Requester { get }
}

extension ScriptParameter where Input: RequestedCall {
    static var subject: Self { .text("subject") { $0.requester.owner } }
    static var opensUnowned: Self {
        .flag("opens_unowned") { $0.requester.reaches($0.keys.session, ownedBy: nil) }
    }
}

/// Arguments that several scripts have.
extension ScriptParameter where Input: SessionCall {
    static var owner: Self { .text("owner") { $0.store.configuration.replica } }
    static var instance: Self { .text("instance") { $0.store.configuration.instance } }
    static var lease: Self { .number("lease") { $0.store.leaseMilliseconds } }
    static var ttl: Self { .number("ttl") { $0.store.ttlMilliseconds } }
    static var grace: Self { .number("grace") { $0.store.graceMilliseconds } }
    static var publish: Self { .text("publish") { $0.store.publish } }
    static var wake: Self { Self(name: "wake", form: .text) { input, call in call.append(input.keys.prefix, "wake") } }
    static var replicaChannels: Self { .text("replica_channels") { $0.keys.keyspace.replica("") } }
    static var session: Self { .text("session") { $0.keys.session.name } }
    static var knownLayout: Self { .number("known_layout") { _ in RedisLayout.known } }
    static var journalBound: Self { .number("journal_bound") { $0.store.configuration.journalBound } }
    static var aheadBytes: Self { .number("ahead_bytes") { $0.store.configuration.historyAheadBytes } }
    static var aheadMessages: Self { .number("ahead_messages") { $0.store.configuration.historyAheadMessages } }
}
