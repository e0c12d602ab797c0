import Foundation
import Locks
import SessionStore
import TestSupport
import Testing

/// Records whether some work has ended.
private final class Work: Sendable {
    private let state = Guarded(false)

    var hasEnded: Bool { state.withLock { $0 } }
    func end() { state.withLock { $0 = true } }
}

/// The replicas return 503. If a balancer refuses one client's request for that, it must not refuse
/// other clients' requests.
@Suite("Balancers in front of refusing replicas", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct BalancerTests {
    /// Sends GETs while `body` runs, and counts their statuses.
    private func gets<Value: Sendable>(
        of paths: [String], through client: AgentClient, beside body: @escaping @Sendable () async throws -> Value
    ) async throws -> (value: Value, answers: [String: Int]) {
        let work = Work()
        return try await withThrowingTaskGroup(of: [String: Int].self) { group in
            group.addTask {
                var answers: [String: Int] = [:]
                while !work.hasEnded {
                    for path in paths { answers["\(path) \(try await client.get(path).status)", default: 0] += 1 }
                    try await Task.sleep(for: .milliseconds(10))
                }
                return answers
            }
            defer { work.end() }
            let value = try await body()
            work.end()
            return (value, try await group.next() ?? [:])
        }
    }

    /// Every replica refuses each request with a key, and serves other requests meanwhile.
    @Test("Full replicas refuse a client with keys, and other requests still succeed", arguments: Balancer.Kind.allCases)
    func replicasThatAreFull(kind: Balancer.Kind) async throws {
        // The test needs a Redis of its own: a step that another test left would occupy a slot.
        let redis = try await RedisServer.start()
        let gate = Gate()
        let upstream = try await Upstream.start { _ in UpstreamAnswer.text("one ", "two").inserting(.gate(gate), after: 2) }
        let full = ["AGENT_RUNTIME__MAX_STEPS": "1"]
        async let one = Replica.start(redis: redis.url, upstream: upstream.url, name: "one", environment: full)
        async let two = Replica.start(redis: redis.url, upstream: upstream.url, name: "two", environment: full)
        let replicas = try await [one, two]
        let balancer = try await Balancer.start(kind, before: replicas)
        var open: [OpenAnswer] = []
        for replica in replicas {
            var answer = try await replica.client.open(AgentClient.body(SessionID.unique().text, ["content": "x"]))
            try await answer.next { $0.data["token"].string == "one " }
            open.append(answer)
        }
        let paths = ["/agent/sessions?limit=1", "/health/ready"]
        let (codes, answers) = try await gets(of: paths, through: balancer.client) {
            var codes: [String: Int] = [:]
            for number in 0..<30 {
                let answer = try await balancer.client.say(
                    "x", in: SessionID.unique().text, headers: ["Idempotency-Key": "k-\(number)"])
                codes["\(answer.status) \(answer.code ?? "")", default: 0] += 1
            }
            return codes
        }
        #expect(codes == ["503 overloaded": 30])
        #expect(Set(answers.keys) == Set(paths.map { "\($0) 200" }), "\(answers)")
        gate.open()
        for index in open.indices { #expect(try await open[index].rest().content == "one two") }
        #expect(try await balancer.client.say("x", in: SessionID.unique().text).status == 200)
    }

    /// Clients send requests with keys during the restart.
    @Test("Requests that need no Redis succeed while Redis restarts", arguments: Balancer.Kind.allCases)
    func aRedisThatIsRestarted(kind: Balancer.Kind) async throws {
        let options = ["--appendonly", "yes"]
        let redis = try await RedisServer.start(options)
        let upstream = try await Upstream.start()
        async let one = Replica.start(redis: redis.url, upstream: upstream.url, name: "one")
        async let two = Replica.start(redis: redis.url, upstream: upstream.url, name: "two")
        let balancer = try await Balancer.start(kind, before: try await [one, two])
        let client = balancer.client
        let restarted = Task {
            try await eventually("turns run") { upstream.requests.count > 8 }
            try await redis.kill()
            return try await RedisServer.start(options, directory: redis.directory, port: redis.port)
        }
        let (statuses, answers) = try await gets(of: ["/health"], through: client) {
            try await withThrowingTaskGroup(of: Set<Int>.self) { group in
                for number in 0..<4 {
                    group.addTask {
                        var seen: Set<Int> = []
                        for turn in 0..<40 {
                            let headers = ["Idempotency-Key": "\(number)-\(turn)"]
                            seen.insert(try await client.say("x", in: SessionID.unique().text, headers: headers).status)
                            try await Task.sleep(for: .milliseconds(25))
                        }
                        return seen
                    }
                }
                return try await group.reduce(into: Set<Int>()) { $0.formUnion($1) }
            }
        }
        let again = try await restarted.value
        #expect(statuses.isSubset(of: [200, 503]), "\(statuses)")
        // HAProxy polls whether replicas are ready, and may find none ready for a moment.
        let borne: Set = kind == .nginx ? ["/health 200"] : ["/health 200", "/health 503"]
        #expect(Set(answers.keys).isSubset(of: borne), "\(answers)")
        try await eventually("messages are taken") {
            try await client.say("x", in: SessionID.unique().text).status == 200
        }
        try await again.kill()
    }

    /// nginx treats DELETE as repeatable. But a client may begin the session anew before nginx
    /// sends the request a second time.
    @Test("nginx sends a DELETE once")
    func nginxSendsADeletionOnce() async throws {
        let redis = try await RedisServer.shared()
        async let one = Replica.start(redis: redis.url, name: "one")
        async let two = Replica.start(redis: redis.url, name: "two")
        let replicas = try await [one, two]
        let balancer = try await Balancer.start(.nginx, before: replicas)
        // Stops the balancer when the test ends.
        defer { balancer.process.signal(SIGKILL) }
        let client = balancer.client
        let sessions = (0..<2).map { _ in SessionID.unique() }
        for session in sessions { #expect(try await replicas[1].client.say("x", in: session.text).status == 200) }
        try await replicas[0].pause()
        let answers = sessions.map { session in
            Task { try await client.send("DELETE", "/agent/sessions/\(session.text)?reason=none") }
        }
        // One of the two requests waits at the replica that does not respond.
        try await eventually("one is deleted") { try sessions.count { try redis.history($0).isEmpty } == 1 }
        try await replicas[0].kill()
        var statuses: [Int] = []
        for answer in answers {
            let answer = try await answer.value
            statuses.append(answer.status)
            if answer.status == 502 { #expect(answer.code == "outcome_unknown") }
        }
        #expect(statuses.sorted() == [204, 502], "\(statuses)")
        #expect(try sessions.count { try redis.history($0).isEmpty } == 1)
    }

    /// A query may hold a ticket for a stream.
    @Test("A balancer's log has the path of a request and not its query", arguments: Balancer.Kind.allCases)
    func logsWithoutQueries(kind: Balancer.Kind) async throws {
        let replica = try await Replica.start(redis: try await RedisServer.shared().url, name: "one")
        let balancer = try await Balancer.start(kind, before: [replica])
        defer { balancer.process.signal(SIGKILL) }
        let path = "/agent/sessions/\(SessionID.unique())"
        #expect(try await balancer.client.get("\(path)/stream?ticket=s3cret").status == 404)
        // nginx sends these two to locations of its own.
        #expect(try await balancer.client.send("DELETE", "\(path)?ticket=s3cret").status == 404)
        let message = "/agent/message/stream"
        #expect(
            try await balancer.client.send("POST", "\(message)?ticket=s3cret", body: "{}", headers: ["Idempotency-Key": "k"]).status == 400)
        try await eventually("the log has the requests; it is: \(balancer.process.log)") {
            ["GET \(path)/stream", "DELETE \(path)", "POST \(message)"].allSatisfy { balancer.process.log.contains($0) }
        }
        #expect(!balancer.process.log.contains("s3cret"))
        try await replica.stop()
    }

    @Test("HAProxy's own errors have the server's error format")
    func haproxysOwnErrorsAreTheServersInForm() async throws {
        let redis = try await RedisServer.shared()
        async let one = Replica.start(redis: redis.url, name: "one")
        async let two = Replica.start(redis: redis.url, name: "two")
        let replicas = try await [one, two]
        let balancer = try await Balancer.start(.haproxy, before: replicas)
        let client = balancer.client
        // The replica is lost before it responds: it may have executed the request.
        try await replicas[0].pause()
        let answers = (0..<2).map { _ in Task { try? await client.say("x", in: SessionID.unique().text) } }
        try await replicas[1].stop()
        for replica in replicas where replica.process.isRunning { try await replica.kill() }
        for answer in answers {
            guard let answer = await answer.value, answer.status != 200 else { continue }
            #expect([502, 503].contains(answer.status) && answer.header("content-type") == "application/problem+json")
            // A replica that stops responds with its own error.
            let codes = answer.status == 502 ? ["outcome_unknown"] : ["no_replica", "draining"]
            #expect(codes.contains(answer.code ?? ""), "\(answer.text)")
        }
        // No replica exists, so nothing was written.
        try await eventually("HAProxy has seen it") { try await client.get("/health").code == "no_replica" }
        let refused = try await client.say("x", in: SessionID.unique().text)
        #expect(refused.status == 503 && refused.code == "no_replica" && refused.json["status"].int == 503)
        #expect(refused.header("content-type") == "application/problem+json")
        #expect(refused.header("retry-after") == "1" && refused.header("cache-control") == "no-store")
        #expect(refused.json["title"].string == "Service Unavailable")
    }
}
