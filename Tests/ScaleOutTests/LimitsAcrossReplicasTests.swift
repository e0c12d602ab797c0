import Foundation
import RedisClient
import SessionStore
import TestSupport
import Testing

/// One account with a limit of streams, used through several replicas.
@Suite("Limits across replicas", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct LimitsAcrossReplicasTests {
    static let limit = 10
    static let lease = Duration.seconds(1)
    let redis: RedisServer
    let upstream: Upstream
    private let connection: RedisConnection
    /// A server without keys has one account for all requests.
    let running = AccountKeys(Account(key: "none", tenant: .standard)).running

    init() async throws {
        redis = try await RedisServer.start()
        upstream = try await Upstream.start()
        connection = try await redis.client().connection(for: "")
    }

    private func replica(_ name: String) async throws -> Replica {
        try await Replica.start(
            redis: redis.url, upstream: upstream.url, name: name,
            environment: ["AGENT_RUNTIME__LEASE_MS": "\(Self.lease.milliseconds)", "AGENT_RUNTIME__LIMIT_STREAMS": "\(Self.limit)"])
    }

    /// What Redis has at one instant.
    struct Sample: Sendable {
        /// The owners of leases that live, one for each lease.
        var owners: [String]
        /// Slots that live.
        var slots: Int
    }

    private static let script = """
        local time, owners = redis.call('TIME'), {}
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        for i = 2, #KEYS do
          local state = redis.call('HMGET', KEYS[i], 'status', 'lease_until', 'owner')
          if state[1] == 'running' and tonumber(state[2]) > now then owners[#owners + 1] = state[3] end
        end
        return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf') .. ' ' .. table.concat(owners, ' ')
        """

    private func sample(_ sessions: [SessionID]) async throws -> Sample {
        let keys = [running] + sessions.map { RedisKeys($0).state }
        var command = RedisCommand("EVAL", Self.script, "\(keys.count)")
        command.append(contentsOf: keys)
        let words = try await connection.send(command).string?.split(separator: " ").map(String.init) ?? []
        return Sample(owners: Array(words.dropFirst()), slots: words.first.flatMap { Int($0) } ?? -1)
    }

    /// Sends a message until it is served, and waits before each attempt as the response asked.
    ///
    /// - Returns: How often it was refused.
    private func talk(_ session: SessionID, through clients: [AgentClient]) async throws -> Int {
        var refusals = 0
        for attempt in 0..<400 {
            let client = clients[(attempt + session.hashValue % 97 + 97) % clients.count]
            guard let answer = try? await client.say("hello", in: session.text, headers: ["Idempotency-Key": session.text]) else {
                continue
            }
            switch answer.status {
            case 200 where answer.done["status"] == "completed":
                return refusals
            case 429:
                refusals += 1
                let wait = try #require(answer.header("Retry-After").flatMap { Int($0) }, "a refusal says how long to wait")
                #expect(wait >= 1 && answer.code == "rate_limited" && answer.json["limit"] == "streams")
                try await Task.sleep(for: .milliseconds(wait * 1000 + Int.random(in: 0..<500)))
            default:
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        throw NeverHappened(description: "\(session) was not served")
    }

    @Test("200 clients share ten streams, and a killed replica's become free within a lease")
    func manyClients() async throws {
        var replicas: [Replica] = []
        for name in ["one", "two", "three"] { replicas.append(try await replica(name)) }
        let upstream = upstream
        upstream.answer { _ in
            var answer = UpstreamAnswer.text((0..<6).map { "word\($0) " })
            for place in 1...6 { answer = answer.inserting(.pause(.milliseconds(40)), after: 2 * place) }
            return answer
        }
        let sessions = (0..<200).map { _ in SessionID.unique() }
        let clients = replicas.map(\.client)
        let served = Progress()
        async let refusals = withThrowingTaskGroup(of: Int.self) { group in
            for session in sessions {
                group.addTask {
                    let count = try await talk(session, through: clients)
                    await served.add()
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        var most = 0
        var killed: ContinuousClock.Instant?
        while await served.count < sessions.count {
            let sample = try await sample(sessions)
            most = max(most, sample.owners.count)
            #expect(sample.owners.count <= Self.limit, "more leases than may live: \(sample)")
            if let killed {
                // A replica renews its slots a little beyond their leases.
                if ContinuousClock.now - killed > Self.lease + .milliseconds(300) {
                    #expect(!sample.owners.contains("one"), "the killed replica's places are free")
                }
            } else if await served.count >= 40, sample.owners.count(where: { $0 == "one" }) >= 2 {
                try await replicas[0].kill()
                killed = .now
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(killed != nil, "no replica was killed")
        #expect(most == Self.limit, "the limit was reached: \(most)")
        #expect(try await refusals > 0)
        for session in sessions {
            #expect(try redis.history(session).map { $0["role"] } == ["system", "user", "assistant"], "\(session)")
        }
        try await eventually("all slots are free") { try await sample(sessions).slots == 0 }
    }

    /// Nothing takes the steps over.
    @Test("Slots of a deployment that is gone are free within a lease")
    func aDeploymentThatIsGone() async throws {
        let replica = try await replica("one")
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("half").inserting(.gate(gate), after: 2) }
        let sessions = (0..<Self.limit).map { _ in SessionID.unique() }
        var streams: [OpenAnswer] = []
        for session in sessions { streams.append(try await replica.client.open(AgentClient.body(session.text, ["content": "hello"]))) }
        #expect(streams.allSatisfy { $0.status == 200 })
        #expect(try await replica.client.say("hello", in: SessionID.unique().text).status == 429)
        #expect(try await sample(sessions).slots == Self.limit)
        try await replica.kill()
        let killed = ContinuousClock.now
        try await eventually("the slots are free") { try await sample(sessions).slots == 0 }
        #expect(ContinuousClock.now - killed < Self.lease + .milliseconds(500))
        gate.open()
    }

    private actor Progress {
        private(set) var count = 0
        func add() { count += 1 }
    }
}
