import LocalDeployment
import Locks
import RedisClient
import SessionStore

/// Watches in Redis that no account has more leases than its limit of streams.
///
/// Sessions lie on several servers, so that no command sees them all at one instant. The watch reads
/// all of them twice: a lease that lives in both readings has lived all the time between.
final class LimitWatch: Sendable {
    private struct Lease: Hashable {
        var session: SessionID
        var fence: Int64
    }

    private struct State {
        /// The latest session of each conversation, by its number.
        var sessions: [Int: (session: SessionID, tenant: String)] = [:]
        var violations: [Violation] = []
        var most = 0
        var readings = 0
        /// Until then, slots may be missing: Redis has lost writes, or its clock was set.
        var excusedUntil = ContinuousClock.now
    }

    private let state = Guarded(State())
    private let client: RedisConnectionPool
    private let limit: Int
    private let lease: Duration

    /// - Parameters:
    ///   - client: Connections of the watch's own.
    ///   - limit: The limit of streams of each tenant's account.
    ///   - lease: The deployment's.
    init(client: RedisConnectionPool, limit: Int, lease: Duration) {
        (self.client, self.limit, self.lease) = (client, limit, lease)
    }

    /// Begins to watch a conversation's session in place of its session before.
    func watch(_ id: String, of tenant: DrillTenant, conversation: Int) {
        guard let session = SessionID(id, tenant: tenant.id) else { return }
        state.withLock { $0.sessions[conversation] = (session, tenant.name) }
    }

    /// Expects no limit to hold from now on: Redis loses writes, or its clock is set.
    func excuse() { state.withLock { $0.excusedUntil = .now + .seconds(3600) } }

    /// Expects limits to hold again in three leases. By then, each owner has renewed its slots.
    func expectAgain() { state.withLock { [lease] in $0.excusedUntil = .now + lease * 3 } }

    var violations: [Violation] { state.withLock { $0.violations } }
    /// The most leases that one account had at the same time.
    var most: Int { state.withLock { $0.most } }
    var readings: Int { state.withLock { $0.readings } }

    /// Reads the sessions until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let begun = ContinuousClock.now
            let first = await leases()
            let second = await leases()
            if let first, let second { judge(first.mapValues { Set($0) }, second, begun: begun) }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    private func judge(_ first: [String: Set<Lease>], _ second: [String: [Lease]], begun: ContinuousClock.Instant) {
        state.withLock { state in
            state.readings += 1
            for (tenant, leases) in second {
                let count = leases.count { first[tenant]?.contains($0) ?? false }
                state.most = max(state.most, count)
                guard count > limit, begun > state.excusedUntil else { continue }
                let detail = "the account has \(count) leases, and may have \(limit): \(leases.map(\.session.text).sorted())"
                state.violations.append(Violation(kind: .limit, session: leases.first?.session.text ?? "", detail: detail))
            }
        }
    }

    /// Returns the leases that live, by tenant; nil where a server does not reply.
    private func leases() async -> [String: [Lease]]? {
        var leases: [String: [Lease]] = [:]
        for (session, tenant) in state.withLock({ Array($0.sessions.values) }) {
            let key = RedisKeys(session).state
            let commands = [RedisCommand("TIME"), RedisCommand("HMGET", key, "status", "fence", "lease_until")]
            guard let results = try? await client.route(for: key).send(pipeline: commands), let time = try? results.first?.get().time,
                let state = try? results.last?.get()
            else { return nil }
            guard state[0]?.string == "running", let until = state[2]?.string.flatMap({ Int64($0) }), until > time else { continue }
            leases[tenant, default: []].append(Lease(session: session, fence: state[1]?.string.flatMap { Int64($0) } ?? 0))
        }
        return leases
    }
}
