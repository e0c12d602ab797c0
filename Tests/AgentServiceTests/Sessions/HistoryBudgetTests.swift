import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore
@testable import agent_server

/// A replica limits the bytes of the histories that it holds at the same time.
@Suite("Bound on the bytes of histories", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct HistoryBudgetTests {
    /// Creates a session whose history has about this many bytes, and waits for a completion.
    private func session(_ bytes: Int, beside other: SessionInRedis? = nil) async throws -> SessionInRedis {
        let session = if let other { SessionInRedis(beside: other) } else { try await SessionInRedis(.shared(), lease: .seconds(60)) }
        let turns = Turns(session, model: PlayedModel.saying("x"))
        #expect(try await turns.say("hello").all().done["status"] == "completed")
        if bytes > 0 {
            let message = #"{"role":"user","content":"\#(String(repeating: "x", count: bytes))"}"#
            _ = try await session.store.client.connection(for: session.keys.prefix).send(
                RedisCommand("RPUSH", session.keys.history, message))
            try session.redis.cli("HSET", session.keys.state, "history_bytes", "\(bytes)")
        }
        return session
    }

    /// Creates turns of one replica that may hold 512 KiB of large histories. Its model holds each
    /// request until the gate opens.
    private func turns(_ session: SessionInRedis, gate: Gate, wait: Duration = .seconds(60)) -> Turns {
        Turns(
            session, holdsRequests: true,
            {
                $0.historyBytesInFlight = 1 << 20
                $0.wait = wait
            },
            model: { request, sink in
                if request.messages.reduce(0, { $0 + $1.readableBytes }) > 1000 { await gate.pass() }
                try await PlayedModel.saying("answer")(request, sink)
            })
    }

    /// Neither the open stream nor the waiting model request holds the history.
    @Test("A step releases its history when the model responds", arguments: [1000, 300_000])
    func aHistoryIsLetGoOfOnceTheModelAnswers(bytes: Int) async throws {
        let session = try await session(bytes)
        let gate = Gate()
        defer { gate.open() }
        let turns = Turns(
            session,
            model: { request, sink in
                try await sink([.textDelta("first ")])
                await gate.pass()
                try await PlayedModel.saying("last")(request, sink)
            })
        let listener = try await turns.say("again")
        try await eventually("the model answers") { try listener.tokens() == "first " }
        #expect(turns.model.requests.last?.messages.count == 5)
        #expect(turns.service.histories.used == 0)
        gate.open()
        #expect(try await listener.all().done["status"] == "completed")
    }

    /// The second generation of the step needs all messages.
    @Test("A repair reads the history and the client's tools again")
    func aRepairHasAllThatTheFirstGenerationHad() async throws {
        let session = try await session(100_000)
        let turns = Turns(
            session,
            model: { request, sink in
                let isRepair = request.messages.count > 5
                try await PlayedModel.calling((id: "a", name: "own", arguments: isRepair ? "{}" : "nonsense"))(request, sink)
            })
        let tools: JSON = [["type": "function", "function": ["name": "own"]]]
        let told = try await turns.post(["content": "go"], ["tools": tools]).all()
        #expect(told.done["status"] == "waiting")
        let requests = turns.model.requests
        try #require(requests.count == 2)
        #expect(requests.map(\.messages.count) == [5, 7])
        #expect(Array(requests[1].messages.prefix(5)) == requests[0].messages)
        #expect(try requests.map { try JSON(parsing: try #require($0.tools)) } == [tools, tools])
        // The id of the repaired call counts as used.
        #expect(told.calls.count == 1 && told.calls[0]["call_id"] != "a")
        #expect(turns.service.histories.used == 0)
    }

    @Test("A step waits for room under its lease, and small histories do not wait")
    func aStepWaitsForItsTurnUnderItsLease() async throws {
        let first = try await session(200_000)
        let second = try await session(200_000, beside: first)
        let gate = Gate()
        let turns = turns(first, gate: gate)
        let one = try await turns.say("one")
        try await eventually("it is asked") { turns.model.requests.count == 1 }
        #expect(turns.service.histories.used >= 400_000)
        let two = try await turns.say("two", in: second)
        try await eventually("it waits") { turns.service.histories.areCrowded }
        #expect(try second.state("status") == "running" && turns.model.requests.count == 1)
        // Small histories do not wait for large ones.
        let small = try await session(0, beside: first)
        #expect(try await turns.say("three", in: small).all().done["status"] == "completed")
        #expect(turns.service.histories.areCrowded)
        gate.open()
        for listener in [one, two] { #expect(try await listener.all().done["status"] == "completed") }
        #expect(turns.service.histories.used == 0)
    }

    /// The replica has accepted the message, and therefore cannot refuse it: another replica runs
    /// the step, and the client resumes there.
    @Test("A step that gets no room is released for another replica")
    func aStepThatGetsNoTurnIsGivenBack() async throws {
        let first = try await session(200_000)
        let second = try await session(200_000, beside: first)
        let gate = Gate()
        defer { gate.open() }
        let turns = Turns(
            try await SessionInRedis(first.redis, first.id, lease: .milliseconds(300)), holdsRequests: true,
            { ($0.historyBytesInFlight, $0.wait) = (1 << 20, .milliseconds(300)) },
            model: { request, sink in
                await gate.pass()
                try await PlayedModel.saying("answer")(request, sink)
            })
        _ = try await turns.say("one")
        try await eventually("it is asked") { turns.model.requests.count == 1 }
        let told = try await turns.say("two", in: second)
        #expect(try await told.all().isEmpty)
        #expect(told.text.hasSuffix("retry: 1000\n\n"))
        #expect(try second.state("status") == "running" && second.state("lease_until") == "0")
        #expect(try second.redis.history(second.id).last?["content"] == "two")
        // The release did not count as an attempt.
        let elsewhere = Turns(try await second.elsewhere(), model: PlayedModel.saying("better here"))
        #expect(try await elsewhere.service.takeOver(second.id, step: 2))
        try await eventually("it is answered") { try second.redis.history(second.id).last?["content"] == "better here" }
        #expect(try second.state("attempt") == "1")
    }

    /// The message waits before the replica accepts it, so that the replica can still refuse it.
    @Test("A message that comes while others wait is refused in the end")
    func aMessageThatComesToACrowdIsRefusedInTheEnd() async throws {
        let first = try await session(200_000)
        let (second, third) = (try await session(200_000, beside: first), try await session(200_000, beside: first))
        let gate = Gate()
        let turns = turns(first, gate: gate, wait: .milliseconds(300))
        let one = try await turns.say("one")
        try await eventually("it is asked") { turns.model.requests.count == 1 }
        // The lease lasts a minute, and the message waits as long.
        let two = try await turns.say("two", in: second)
        try await eventually("it waits") { turns.service.histories.areCrowded }
        let length = try third.redis.history(third.id).count
        await #expect { _ = try await turns.say("three", in: third) } throws: { error in
            if case .crowded? = error as? TurnError { true } else { false }
        }
        #expect(try third.redis.history(third.id).count == length && third.state("status") == "idle")
        #expect(turns.scheduler.slots == 2)
        gate.open()
        for listener in [one, two] { #expect(try await listener.all().done["status"] == "completed") }
        #expect(try await turns.say("three", in: third).all().done["status"] == "completed")
    }
}

extension Turns {
    /// Posts to another session of the same replica.
    fileprivate func say(_ text: String, in session: SessionInRedis) async throws -> Listener {
        let body = AgentClient.body(session.id.text, ["content": .string(text)], [:])
        let listener = Listener()
        try await service.start(
            try TurnRequest(body: ByteBuffer(string: body.text), tenant: .standard, as: .tenant), stream: listener.stream)
        return listener
    }
}
