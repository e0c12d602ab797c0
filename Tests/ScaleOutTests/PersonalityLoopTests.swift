import SessionStore
import TestSupport
import Testing

/// Each kind of server in docs/models.md, with the settings of its row: three rounds of two calls,
/// over replicas of which one is killed.
@Suite("Tool loops against each kind of model server", .tags(.processes), .serialized, .timeLimit(.minutes(10)))
struct PersonalityLoopTests {
    private static let rounds = 3

    /// The model's script: three times text and two calls, and then a text.
    private static func completion(to request: UpstreamRequest) -> ScriptedCompletion {
        let round = request.messages.count { !$0["tool_calls"].array.isEmpty }
        guard round < rounds else { return ScriptedCompletion(text: ["All ", "three ", "rounds."]) }
        return ScriptedCompletion(
            text: round == 0 ? ["Let me ", "look. "] : [],
            calls: [.init("read_file", #"{"path":"\#(round).txt"}"#), .init("echo", #"{"text":"\#(round)"}"#)])
    }

    @Test("Each personality has a row in docs/models.md")
    func eachPersonalityHasALine() {
        let rows = ModelTable.rows
        #expect(Set(rows.map(\.personality)) == Set(Personality.allCases.map(\.rawValue)))
        for row in rows {
            #expect(row.settings == Personality(rawValue: row.personality)?.settings, "\(row)")
        }
    }

    /// The members of a completion return byte for byte to the server that sent them.
    @Test("A tool loop survives the loss of its owner, and reasoning returns byte for byte (I1–I4)", arguments: ModelTable.rows)
    func aLoopOutlivesTheOwnerOfItsSecondRound(_ row: ModelTable.Row) async throws {
        let personality = try #require(Personality(rawValue: row.personality))
        // The test needs a Redis of its own: these replicas would take over the steps of other
        // tests, and ask this model.
        let redis = try await RedisServer.start()
        let upstream = try await Upstream.start(as: personality)
        let gate = Gate()
        defer {
            gate.open()
            upstream.stop()
        }
        upstream.answer { request in
            let answer = personality.answer(Self.completion(to: request), to: request)
            let round = request.messages.count { !$0["tool_calls"].array.isEmpty }
            // The first attempt at the second round stops in the middle of the completion.
            return round == 1 && gate.arrivals == 0 ? answer.inserting(.gate(gate), after: answer.parts.count / 2) : answer
        }
        let settings = row.settings.merging(["AGENT_RUNTIME__LEASE_MS": "2000"]) { $1 }
        func replica(_ name: String) async throws -> Replica {
            try await Replica.start(redis: redis.url, upstream: row.url(at: upstream.url), name: name, environment: settings)
        }
        async let first = replica("one")
        async let second = replica("two")
        let (one, two) = try await (first, second)
        let session = SessionID.unique()

        let asked = try await one.client.say("look", in: session.text)
        var calls = try Self.calls(asked)
        #expect(asked.content == "Let me look. ")
        #expect(try await two.client.result("result 0a", of: calls[0], in: session.text).done["status"] == "waiting")
        let body = AgentClient.body(session.text, ["type": "tool_result", "call_id": .string(calls[1]), "result": "result 0b"])
        var open = try await one.client.open(body)
        try await eventually("the model is in the middle of the second round; \(upstream.violations)") { gate.arrivals == 1 }
        try await one.kill()
        // The connection breaks when its owner is killed.
        _ = try? await open.rest()

        let three = try await replica("three")
        calls = try Self.calls(try await two.client.post(body))
        #expect(try await two.client.result("result 1a", of: calls[0], in: session.text).done["status"] == "waiting")
        calls = try Self.calls(try await three.client.result("result 1b", of: calls[1], in: session.text))
        #expect(try await three.client.result("result 2b", of: calls[1], in: session.text).done["status"] == "waiting")
        let answered = try await two.client.result("result 2a", of: calls[0], in: session.text)
        #expect(answered.content == "All three rounds." && answered.done["status"] == "completed", "\(answered.text)")
        // The conversation continues after the loop, with all its reasoning.
        #expect(try await three.client.say("and now?", in: session.text).done["status"] == "completed")

        #expect(upstream.violations == [])
        #expect(upstream.requests.compactMap { personality.lostReasoning(in: $0) } == [])
        // Three rounds, of which one runs twice, and two final texts.
        #expect(upstream.requests.count == Self.rounds + 3)
        try check(try redis.history(session))
        try await two.stop()
        try await three.stop()
        try await redis.kill()
    }

    private static func calls(_ answer: Answer) throws -> [String] {
        let calls = answer.calls.compactMap { $0["call_id"].string }
        try #require(calls.count == 2 && answer.done["status"] == "waiting", "\(answer.text)")
        return calls
    }

    /// Checks one turn: no message is lost or duplicated, and every server would accept the
    /// history.
    private func check(_ history: [JSON]) throws {
        let round = ["assistant", "tool", "tool"]
        #expect(history.map { $0["role"].string } == ["system", "user"] + round + round + round + ["assistant", "user", "assistant"])
        #expect(Conversation.violation(history) == nil)
        let results = history.filter { $0["role"] == "tool" }.compactMap { $0["content"].string }
        #expect(results.sorted() == ["result 0a", "result 0b", "result 1a", "result 1b", "result 2a", "result 2b"])
        let calls = history.flatMap { $0["tool_calls"].array.compactMap { $0["function"]["arguments"].string } }
        let wanted = (0..<Self.rounds).flatMap { [#"{"path":"\#($0).txt"}"#, #"{"text":"\#($0)"}"#] }
        #expect(try calls.map { try JSON($0) } == wanted.map { try JSON($0) })
    }
}
