import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore

/// Reasoning of a completion is stored in Redis, and is part of the next request.
@Suite("Reasoning from a completion to the next request", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct ReasoningTests {
    private static func trace(_ text: String, calls: [Int: String] = [:]) -> LLMEvent {
        let json = { (text: String) in ByteBuffer(string: text) }
        return .reasoning(
            ReasoningTrace(
                fields: [ReasoningTrace.Member(name: "reasoning_content", json: json("\"\(text)\""))],
                calls: calls.mapValues { [ReasoningTrace.Member(name: "extra_content", json: json($0))] }))
    }

    /// Returns a request's last message that is not a tool's, including its reasoning.
    private func lastAnswer(_ request: LLMRequest) throws -> JSON {
        try #require(
            try JSON(parsing: ChatCompletionRequest.encode(request, stream: true).bytes)["messages"].array.last {
                $0["role"] == "assistant"
            })
    }

    private func turns(_ model: @escaping PlayedModel.Script) async throws -> Turns {
        let session = try await SessionInRedis(.shared())
        session.store.layout.set(2)
        return Turns(session, model: model)
    }

    @Test("Reasoning is stored beside the history and returned with the tool's result")
    func itGoesBackWithTheResult() async throws {
        let turns = try await turns { request, sink in
            guard request.messages.count < 4 else { return try await PlayedModel.saying("done")(request, sink) }
            try await sink([
                .toolCall(index: 0, id: "functions.echo:0", name: "echo", arguments: "{}"),
                Self.trace("th\\u0069nk", calls: [0: #"{"s":"A=="}"#]),
                .finish(.toolCalls),
            ])
        }
        let told = try await turns.say("go").all()
        let call = try #require(told.calls.first?["call_id"].string)
        #expect(CallID.isAccepted(call) && call != "functions.echo:0")
        let keys = turns.session.keys
        #expect(
            try await turns.session.list(keys.reasoning).last
                == #"{"at":2,"by":"default/default-model","fields":{"reasoning_content":"th\u0069nk"},"calls":{"\#(call)":{"id":"functions.echo:0","extra_content":{"s":"A=="}}}}"#
        )
        #expect(try turns.history().last?["tool_calls"][0]["id"].string == call)
        #expect(try await turns.result("r", of: call).all().done["status"] == "completed")
        let request = try #require(turns.model.requests.last)
        let answer = try lastAnswer(request)
        #expect(answer["reasoning_content"] == "think")
        #expect(answer["tool_calls"][0]["id"] == "functions.echo:0" && answer["tool_calls"][0]["extra_content"]["s"] == "A==")
        let body = try JSON(parsing: ChatCompletionRequest.encode(request, stream: true).bytes)
        #expect(body["messages"].array.last?["tool_call_id"] == "functions.echo:0")
    }

    @Test("Another model gets none of a session's reasoning")
    func anotherModelGetsNone() async throws {
        let turns = try await turns { request, sink in
            if request.model == "thinker" {
                try await sink([.textDelta("a"), Self.trace("secret"), .finish(.stop)])
            } else {
                try await PlayedModel.saying("b")(request, sink)
            }
        }
        _ = try await turns.say("go", ["model": "thinker"]).all()
        _ = try await turns.say("go", ["model": "other"]).all()
        _ = try await turns.say("go", ["model": "thinker"]).all()
        let requests = turns.model.requests
        #expect(try lastAnswer(requests[1]).object["reasoning_content"] == nil)
        let body = try JSON(parsing: ChatCompletionRequest.encode(requests[2], stream: true).bytes)["messages"].array
        #expect(body.map { $0["reasoning_content"].string } == [nil, nil, "secret", nil, nil, nil])
    }

    @Test("A repair returns the first attempt's reasoning, and both attempts are stored")
    func aRepairHasTheFirstOnes() async throws {
        let turns = try await turns { request, sink in
            let isRepair = request.messages.count > 2
            try await sink([
                .toolCall(index: 0, id: "c\(isRepair)", name: "echo", arguments: isRepair ? "{}" : "nonsense"),
                Self.trace(isRepair ? "second" : "first"), .finish(.toolCalls),
            ])
        }
        #expect(try await turns.say("go").all().done["status"] == "waiting")
        #expect(try lastAnswer(try #require(turns.model.requests.last))["reasoning_content"] == "first")
        let stored = try await turns.session.list(turns.session.keys.reasoning).map { try JSON($0) }
        #expect(stored.map { $0["at"].int } == [nil, 2, 4])
        #expect(stored.map { $0["fields"]["reasoning_content"].string } == [nil, "first", "second"])
    }

    @Test("A failed completion and a rewind leave no reasoning behind")
    func whatGoesLeavesNone() async throws {
        let turns = try await turns { request, sink in
            try await sink([.textDelta("x"), Self.trace("t")])
            if request.messages.count == 2 { throw LLMError(.unavailable, "gone") }
            try await sink([.finish(.stop)])
        }
        let key = turns.session.keys.reasoning
        #expect(try await turns.say("go").all().done["status"] == "failed")
        #expect(try await turns.session.list(key) == ["{}"])
        #expect(try await turns.say("on").all().done["status"] == "completed")
        #expect(try await turns.session.list(key).count == 2)
        let before = try await turns.session.store.historyBytes(turns.session.id)
        _ = try await turns.session.store.rewind(turns.session.id, to: 2)
        #expect(try await turns.session.list(key) == ["{}"])
        let history = try turns.history()
        let after = try await turns.session.store.historyBytes(turns.session.id)
        #expect(after < before && after == history.reduce(0) { $0 + $1.text.utf8.count })
    }

    @Test("The reasoning of a long history is read in pages")
    func pages() async throws {
        let text = String(repeating: "t", count: 40_000)
        let turns = try await turns { request, sink in
            try await sink([.textDelta("answer"), Self.trace(text), .finish(.stop)])
        }
        for _ in 0..<5 { #expect(try await turns.say("go").all().done["status"] == "completed") }
        let request = try #require(turns.model.requests.last)
        #expect(request.reasoning.count == 5)
        #expect(turns.session.store.configuration.historyAheadBytes < 3 * text.utf8.count)
        let body = try JSON(parsing: ChatCompletionRequest.encode(request, stream: true).bytes)["messages"].array
        let sent = body.compactMap { $0["reasoning_content"].string }
        #expect(sent.count == 4 && sent.allSatisfy { $0 == text })
    }

    @Test("With the setting, client and follower get the same reasoning beside the text")
    func itIsShown() async throws {
        let turns = try await turns { _, sink in
            try await sink([.reasoningDelta("let me "), .reasoningDelta("see")])
            try await sink([.textDelta("yes"), Self.trace("let me see"), .finish(.stop)])
        }
        let told = try await turns.say("go").all()
        #expect(
            told.prefix(3).map(\.data) == [
                ["type": "reasoning", "token": "let me ", "is_final": false], ["type": "reasoning", "token": "see", "is_final": false],
                ["type": "assistant_message", "token": "yes", "is_final": false],
            ])
        #expect(told.content == "yes")
        #expect(try await turns.follow(1) == told)
    }
}

extension SessionInRedis {
    /// Returns all elements of a list.
    func list(_ key: String) async throws -> [String] {
        try await store.client.connection(for: keys.prefix).send(RedisCommand("LRANGE", key, "0", "-1")).plainElements
    }
}

extension RedisReply {
    fileprivate var plainElements: [String] {
        var list: [String] = []
        forEachElement { list.append($0.string ?? "") }
        return list
    }
}
