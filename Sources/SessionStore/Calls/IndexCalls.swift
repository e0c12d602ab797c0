import RedisClient

/// A member of a sorted set, and the highest score at which `forget_entries` removes it.
typealias ScoredMember = (member: String, score: Int64)

/// Who takes the slot of `claim_place`, and for how many milliseconds.
struct PlaceClaim {
    let holder: String
    let duration: Int64
}

extension StoreScripts {
    static let forgetEntries = StoreScript<[ScoredMember]>(
        "forget_entries", body: PackageResources.forget_entries_lua, keys: ["entries"], [],
        rest: { entries, call in
            for entry in entries {
                call.append(entry.member)
                call.append(integer: entry.score)
            }
        })

    static let claimPlace = StoreScript<PlaceClaim>(
        "claim_place", body: PackageResources.claim_place_lua, keys: ["slots"],
        [.text("holder") { $0.holder }, .number("duration") { $0.duration }])

    static let readState = StoreScript<Void>(
        "read_state", body: PackageResources.read_state_lua, keys: ["state", "history", "pending"], [])
}
