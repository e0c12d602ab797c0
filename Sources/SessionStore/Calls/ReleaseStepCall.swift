/// What a call of `release_step` is made from.
struct ReleaseStepCall: SessionCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let token: LeaseToken
}

extension StoreScripts {
    static let releaseStep = StoreScript<ReleaseStepCall>(
        "release_step", body: PackageResources.release_step_lua, [.text("token") { $0.token.text }, .publish, .wake])
}
