import NIOCore
import TestSupport
import Testing

@testable import RedisClient
@testable import SessionStore

/// An account on a real Redis. Its methods call the scripts as a replica does, at times that the
/// test sets.
///
/// The scripts read their clock from a list instead of asking Redis: a test says to the microsecond
/// when a call comes.
struct ScriptAccount: Sendable {
    let redis: RedisServer
    let connection: RedisConnection
    let account: Account
    let keys: AccountKeys
    private let clock: String
    private let admit: RedisScript
    private let settle: RedisScript

    /// The first millisecond of 2100-01-01: later than Redis's own clock, by which keys expire.
    static let midnight: Int64 = 4_102_444_800_000

    init(on server: RedisServer? = nil) async throws {
        redis = if let server { server } else { try await .shared() }
        connection = try await redis.client().connection(for: "")
        account = try Account(#require(Subject(SessionID.unique().text)), tenant: #require(TenantID("acme")))
        keys = AccountKeys(account)
        clock = keys.prefix + "clock"
        admit = try StoreScripts.admit.script.reading(clock)
        settle = try StoreScripts.settle.script.reading(clock)
    }

    /// Sets the clock.
    ///
    /// - Parameter microseconds: Since midnight.
    func set(_ microseconds: Int64) async throws {
        let time = Self.midnight * 1000 + microseconds
        for command in [
            RedisCommand("DEL", clock), RedisCommand("RPUSH", clock, "\(time / 1_000_000)", "\(time % 1_000_000)"),
        ] { _ = try await connection.send(command) }
    }

    /// - Returns: `admitted`, or `refused LIMIT MILLISECONDS`.
    func admit(
        _ step: String, _ limits: UsageLimits, reserve: Int = 0, slot: Int64 = 3000, isLost: Bool = false, keepsLapsed: Bool = false,
        sent: Int64 = .max
    ) async throws -> String {
        let share = StepSlot.Share(account: Account(account, limits: limits), reserved: reserve)
        return try await call(
            StoreScripts.admit, admit, AdmitCall(step: step, slot: slot, share: share, isLost: isLost, keepsLapsed: keepsLapsed, sent: sent)
        ).line
    }

    /// - Parameter used: Nil for a step that did not begin.
    @discardableResult
    func settle(
        _ step: String, _ limits: UsageLimits, used: Int?, reserved: Int, day: Int? = nil, isRepeated: Bool = false
    ) async throws -> Int64? {
        let share = StepSlot.Share(account: Account(account, limits: limits), reserved: reserved)
        let day = day ?? Int(Self.midnight / UsageDay.length)
        return try await call(
            StoreScripts.settle, settle, SettleCall(step: step, share: share, day: day, used: used, isRepeated: isRepeated)
        ).reply.integer
    }

    private func call<Input>(_ names: StoreScript<Input>, _ script: RedisScript, _ input: Input) async throws -> ScriptAnswer {
        var call = RedisScriptCall(script, keys: names.keys.map { keys.prefix + "\($0)" })
        for parameter in names.parameters { parameter.encode(input, &call) }
        return ScriptAnswer(reply: try await connection.evaluate(call))
    }

    /// Returns what Redis has of the account: slots, claims, rates.
    func dump() async throws -> [[String]] {
        var lists: [[String]] = []
        for command in [
            RedisCommand("ZRANGEBYSCORE", keys.running, "-inf", "+inf", "WITHSCORES"),
            RedisCommand("ZRANGEBYSCORE", keys.waiting, "-inf", "+inf", "WITHSCORES"), RedisCommand("HGETALL", keys.rates),
        ] { lists.append(try await connection.send(command).plainList) }
        return lists
    }

    func expiry(_ key: String) async throws -> Int64? {
        let reply = try await connection.send(RedisCommand("PEXPIRETIME", key))
        return reply.integer
    }
}

extension Account {
    init(_ other: Account, limits: UsageLimits) {
        self = other
        self.limits = limits
    }
}

extension RedisScript {
    /// Returns the same script with a list in place of Redis's clock.
    func reading(_ clock: String) throws -> RedisScript {
        let text = String(buffer: source)
        let changed = text.replacing("redis.call('TIME')", with: "redis.call('LRANGE', '\(clock)', 0, -1)")
        try #require(changed != text)
        return RedisScript(name: name, source: changed.utf8)
    }
}
