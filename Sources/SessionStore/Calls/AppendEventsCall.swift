import RedisClient

/// What a call of `append_events` or `log_events` is made from.
struct AppendEventsCall: SessionCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let lease: StepLease
    let events: LoggedEvents
    /// Whether the owner is about to ask the model. `log_events` has no place for it.
    var isAsking = false
}

extension StoreScripts {
    static let appendEvents = StoreScript<AppendEventsCall>(
        "append_events", body: PackageResources.append_events_lua,
        [
            .text("token") { $0.lease.token.text },
            .digits("step") { $0.lease.step },
            .number("last_sequence") { $0.events.lastSequence },
            .lease,
            .ttl,
            .publish,
            .wake,
            .text("asking") { $0.isAsking ? $0.store.configuration.instance : nil },
            .number("max_age") { $0.lease.maximumAge },
            .grace,
        ],
        rest: { $1.append($0.events) })

    static let logEvents = StoreScript<AppendEventsCall>(
        "log_events", body: PackageResources.log_events_lua, keys: ["state", "events"],
        [
            .text("token") { $0.lease.token.text },
            .text("entry") { "\($0.lease.step)-\($0.events.lastSequence)" },
            .publish,
            .wake,
            .digits("step") { $0.lease.step },
        ],
        rest: { $1.append($0.events) })
}

extension RedisScriptCall {
    mutating func append(_ events: LoggedEvents) {
        events.forEach { name, value in
            append(name.rawValue)
            append(value)
        }
    }
}
