/// What a call of `delete_session` is made from.
struct DeleteSessionCall: RequestedCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let requester: Requester
    /// The epoch that this replica has read; empty for a session that has none.
    let epoch: String
}

extension StoreScripts {
    static let deleteSession = StoreScript<DeleteSessionCall>(
        "delete_session", body: PackageResources.delete_session_lua,
        [.publish, .wake, .replicaChannels, .session, .text("seen_epoch") { $0.epoch }, .knownLayout, .subject, .opensUnowned])
}
