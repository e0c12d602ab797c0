import RedisClient
import TestSupport
import Testing

@testable import SessionStore

extension Account {
    /// An account that no other test uses.
    static func unique(_ limits: UsageLimits = .none) throws -> Account {
        try Account(#require(Subject(SessionID.unique().text)), tenant: .standard, limits: limits)
    }
}

extension BeginStep {
    /// The same request, counted for these accounts.
    func counted(for accounts: Account...) -> BeginStep {
        var begin = self
        begin.accounts = accounts
        return begin
    }
}

extension RedisSessionStore {
    /// Returns the steps that have a slot of an account, whether or not it lives.
    func slots(of account: Account) async throws -> [String] {
        try await read(RedisCommand("ZRANGEBYSCORE", keys(account).running, "-inf", "+inf"), key: keys(account).prefix).plainList
    }

    /// Returns the tokens of the account's day.
    func tokensOfDay(of account: Account) async throws -> String? {
        try await read(RedisCommand("HGET", keys(account).rates, "n"), key: keys(account).prefix).string
    }

    /// Returns whether an account has as many slots, and as many tokens of its day.
    func holds(_ account: Account, slots: Int, tokens: Int) async throws -> Bool {
        let (steps, count) = (try await self.slots(of: account), try await tokensOfDay(of: account))
        return steps.count == slots && count == "\(tokens)"
    }

    /// Moves the slots of an account into the past, as if their owner had been silent.
    func lapse(_ account: Account) async throws {
        for step in try await slots(of: account) {
            _ = try await read(RedisCommand("ZADD", keys(account).running, "1", step), key: keys(account).prefix)
        }
    }

    /// Moves a session's lease into the past.
    func expire(_ session: SessionID) async throws {
        _ = try await read(RedisCommand("HSET", keys(session).state, "lease_until", "1"), key: keys(session).state)
    }
}

/// A suite of stores that take lapsed slots and lost steps at once.
protocol LimitSuite {}

extension LimitSuite {
    func store(
        _ topology: SharedRedis = .single, lease: Duration = .seconds(60), _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        try await topology.configuration().store(lease: lease) {
            $0.outagePause = .zero
            change(&$0)
        }
    }

    func limit(_ outcome: BeginOutcome) -> UsageLimit? {
        if case .limited(let refusal) = outcome { refusal.limit } else { nil }
    }
}
