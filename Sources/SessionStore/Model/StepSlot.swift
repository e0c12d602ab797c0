import RedisClient

/// The accounts that a step counts for, and its slot in each of them that has limits.
///
/// The session's state keeps it as text, so that each replica that runs the step can keep the
/// slots, settle what was reserved, and count what was used.
package struct StepSlot: Sendable, Equatable {
    /// A step's part of one account.
    package struct Share: Sendable, Equatable {
        package var account: Account
        /// The tokens that were charged when the step began.
        package var reserved: Int

        var hasLimits: Bool { account.limits != .none }
        var countsTokens: Bool { account.limits.tokensPerMinute != nil || account.limits.tokensPerDay != nil }
    }

    /// The step's name in the accounts, which stays the same over takeovers: the session's name and
    /// some random characters. Empty if no account has limits.
    package var name: String
    /// The day on which the tokens were reserved; 0 if no account has limits.
    package var day: Int
    package var shares: [Share]

    /// Makes the slots of a step that is about to begin.
    ///
    /// - Parameter reserve: The tokens to reserve, where tokens are limited.
    init(_ accounts: [Account], session: SessionID, reserve: Int) {
        shares = accounts.map { account in
            let most = [account.limits.tokensPerMinute, account.limits.tokensPerDay].compactMap(\.self).min()
            return Share(account: account, reserved: most.map { min(reserve, $0) } ?? 0)
        }
        (name, day) = ("", 0)
        if hasLimits { name = "\(session.name)#\(LeaseToken().text.prefix(12))" }
    }

    /// Makes the slots of the same step in the first accounts.
    init(_ slot: StepSlot, first count: Int) {
        self = slot
        shares = Array(slot.shares.prefix(count))
    }

    var hasLimits: Bool { shares.contains(where: \.hasLimits) }
    var limitsStreams: Bool { shares.contains { $0.account.limits.streams != nil } }

    /// `NAME DAY SHARE …`; `-` for no name. A share is the account, and if it has limits, the limits
    /// and the tokens reserved: `T/NAME,STREAMS,REQUESTS,TOKENS,DAILY,RESERVED`.
    var text: String {
        guard !shares.isEmpty else { return "" }
        return shares.reduce(into: name.isEmpty ? "- 0" : "\(name) \(day)") { text, share in
            text += " " + share.account.text
            guard share.hasLimits else { return }
            let limits = share.account.limits
            for number in [limits.streams, limits.requestsPerMinute, limits.tokensPerMinute, limits.tokensPerDay, share.reserved] {
                text += ",\(number ?? 0)"
            }
        }
    }

    /// Reads ``text``; nil for anything else.
    init?(text: some StringProtocol) {
        let words = text.split(separator: " ")
        guard words.count > 2, let day = Int(words[1]) else { return nil }
        (name, self.day, shares) = (words[0] == "-" ? "" : String(words[0]), day, [])
        for word in words.dropFirst(2) {
            let parts = word.split(separator: ",")
            let numbers = parts.dropFirst().compactMap { Int($0) }
            guard let first = parts.first, numbers.count == parts.count - 1, numbers.isEmpty || numbers.count == 5 else { return nil }
            var limits = UsageLimits.none
            if numbers.count == 5 {
                let bounds = numbers.map { $0 > 0 ? $0 : nil }
                limits = UsageLimits(
                    streams: bounds[0], requestsPerMinute: bounds[1], tokensPerMinute: bounds[2], tokensPerDay: bounds[3])
            }
            guard let account = Account(text: first, limits: limits) else { return nil }
            shares.append(Share(account: account, reserved: numbers.last ?? 0))
        }
        guard !hasLimits || !name.isEmpty else { return nil }
    }
}
