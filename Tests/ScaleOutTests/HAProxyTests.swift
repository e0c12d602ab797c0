import Foundation
import SessionStore
import TestSupport
import Testing

/// Runs a real HAProxy with the settings of docker/haproxy.
@Suite("HAProxy in front of two replicas", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct HAProxyTests {
    private let upstream: Upstream
    private let replicas: [Replica]
    private let process: ChildProcess
    private let client: AgentClient

    init() async throws {
        let redis = try await RedisServer.shared()
        let upstream = try await Upstream.start()
        async let one = Replica.start(redis: redis.url, upstream: upstream.url, name: "one")
        async let two = Replica.start(redis: redis.url, upstream: upstream.url, name: "two")
        replicas = try await [one, two]
        let balancer = try await Balancer.start(.haproxy, before: replicas)
        (process, client) = (balancer.process, balancer.client)
        self.upstream = upstream
    }

    @Test("The settings are valid")
    func theSettingsAreValid() throws {
        let files = ["defaults.cfg", "haproxy.cfg"].flatMap { ["-f", Balancer.docker.appending(path: "haproxy/\($0)").path] }
        #expect(try ChildProcess.output("haproxy", ["-c"] + files).contains("Configuration file is valid"))
    }

    @Test("Text deltas arrive one by one")
    func tokensComeOneByOne() async throws {
        #expect(try await client.get("/haproxy-health").status == 200)
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("one ", "two").inserting(.gate(gate), after: 2) }
        var open = try await client.open(AgentClient.body(SessionID.unique().text, ["content": "x"]))
        try await open.next { $0.data["token"].string == "one " }
        #expect(gate.arrivals == 1)
        gate.open()
        #expect(try await open.rest().content == "one two")
        // Both replicas serve requests.
        var seen: Set<String?> = []
        for _ in 0..<4 { seen.insert(try await client.say("x", in: SessionID.unique().text).replica) }
        #expect(seen == ["one", "two"])
    }

    /// HAProxy notices the stop by its health check.
    @Test("A stopping replica gets no new requests, and its streams go on")
    func aReplicaThatStops() async throws {
        let gate = Gate()
        upstream.answer { request in
            request.lastContent == "wait" ? .text("one ", "two").inserting(.gate(gate), after: 2) : .text("hello")
        }
        var open = try await client.open(AgentClient.body(SessionID.unique().text, ["content": "wait"]))
        try await open.next { $0.data["token"].string == "one " }
        let stopping = try #require(replicas.first { $0.name == open.header("X-Agent-Replica") })
        stopping.process.signal(SIGTERM)
        try await eventually("HAProxy has seen it") { process.log.contains("/\(stopping.name) is DOWN") }
        for _ in 0..<6 {
            let answer = try await client.say("x", in: SessionID.unique().text)
            #expect(answer.status == 200 && answer.replica != stopping.name)
        }
        gate.open()
        #expect(try await open.rest().content == "one two")
        #expect(try await stopping.process.ended() == 0)
    }

    /// A balancer may repeat a request with a key after any loss. A replica may have executed a
    /// request without a key.
    @Test("A request with a key is sent to the other replica after a loss, one without is not", arguments: [true, false])
    func aReplicaThatIsLostBeforeItAnswers(hasKey: Bool) async throws {
        let hung = replicas[0]
        try await hung.pause()
        let headers = hasKey ? ["Idempotency-Key": "k"] : [:]
        let client = client
        let answers = (0..<4).map { _ in Task { try await client.say("x", in: SessionID.unique().text, headers: headers) } }
        // HAProxy sends every second request to that replica, where it waits.
        try await eventually("two are answered") { upstream.requests.count == 2 }
        try await hung.kill()
        var answered = 0
        for answer in answers {
            // HAProxy closes the client's connection, or responds with 502.
            let status = try? await answer.value.status
            #expect(status == 200 || !hasKey && (status == nil || status == 502), "\(String(describing: status))")
            if status == 200 { answered += 1 }
        }
        #expect(answered == (hasKey ? 4 : 2))
    }
}
