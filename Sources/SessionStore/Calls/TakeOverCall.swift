/// What a call of `take_over` is made from.
struct TakeOverCall: RequestedCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let requester: Requester
    let takeOver: TakeOver
    let verdict: SuspectStep.Verdict?

    /// The intent of a step that a replica preempts to end it.
    static let cancelIntent = "cancel"
}

extension StoreScripts {
    static let takeOver = StoreScript<TakeOverCall>(
        "take_over", body: PackageResources.take_over_lua,
        [
            .text("token") { $0.takeOver.token.text },
            .text("nonce") { $0.takeOver.token.nonce },
            .owner,
            .lease,
            .ttl,
            .number("step") { $0.takeOver.step },
            .flag("force") { $0.takeOver.reason != .lost },
            .text("new_intent") { $0.takeOver.reason == .cancel ? TakeOverCall.cancelIntent : nil },
            .number("max_attempts") { $0.store.configuration.maximumAttempts },
            .publish,
            .wake,
            .replicaChannels,
            .session,
            .knownLayout,
            .instance,
            .text("verdict") { $0.verdict?.rawValue },
            .aheadBytes,
            .aheadMessages,
            .subject,
            .opensUnowned,
            .grace,
        ])
}
