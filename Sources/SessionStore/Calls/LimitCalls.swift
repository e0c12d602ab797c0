/// What a call of `admit` is made from.
struct AdmitCall {
    let step: String
    /// How long the slot lives, in milliseconds.
    let slot: Int64
    let share: StepSlot.Share
    let isLost: Bool
    let keepsLapsed: Bool
    /// Redis's time in ms.
    let sent: Int64

    var limits: UsageLimits { share.account.limits }
}

/// What a call of `settle` is made from.
struct SettleCall {
    let step: String
    let share: StepSlot.Share
    /// The day on which the tokens were reserved.
    let day: Int
    /// The tokens that the step has used; nil if it did not begin.
    let used: Int?
    let isRepeated: Bool

    var limits: UsageLimits { share.account.limits }
}

extension StoreScripts {
    static let admit = StoreScript<AdmitCall>(
        "admit", body: PackageResources.admit_lua, keys: ["running", "waiting", "rates"],
        [
            .text("step") { $0.step },
            .number("slot") { $0.slot },
            .number("streams") { $0.limits.streams ?? 0 },
            .number("requests") { $0.limits.requestsPerMinute ?? 0 },
            .number("tokens") { $0.limits.tokensPerMinute ?? 0 },
            .number("daily") { $0.limits.tokensPerDay ?? 0 },
            .number("reserve") { $0.share.reserved },
            .flag("is_lost") { $0.isLost },
            .flag("keeps_lapsed") { $0.keepsLapsed },
            .number("sent") { $0.sent },
        ])

    static let settle = StoreScript<SettleCall>(
        "settle", body: PackageResources.settle_lua, keys: ["running", "rates"],
        [
            .text("step") { $0.step },
            .number("requests") { $0.used == nil ? $0.limits.requestsPerMinute ?? 0 : 0 },
            .number("tokens") { $0.limits.tokensPerMinute ?? 0 },
            .number("used") { $0.used ?? 0 },
            .number("reserved") { $0.share.reserved },
            .number("day") { $0.day },
            .flag("is_repeated") { $0.isRepeated },
        ])
}
