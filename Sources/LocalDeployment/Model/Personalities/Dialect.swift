import NIOCore

/// How one server of models differs from OpenAI: what it sends, what it wants back, and how it refuses.
///
/// The defaults are OpenAI's, so that a dialect says only where it differs.
protocol Dialect: Sendable {
    // MARK: What it takes

    func isReached(at path: String) -> Bool
    var rules: RequestRules { get }
    /// Members of an assistant's message that hold reasoning, and what the server makes of their absence.
    var replay: ReplayRule { get }
    /// Refuses what the rules do not cover.
    func refusal(of request: UpstreamRequest) -> Refusal?
    /// Writes the response that refuses a request.
    func answer(_ refusal: Refusal) -> UpstreamAnswer

    // MARK: What it sends

    /// The members that hold a thought in a whole message.
    func reasoning(_ thought: Thought) -> [String: JSON]
    /// The one of them that must come back; the others may.
    var wantedMember: String { get }
    /// The members of a whole call beside OpenAI's.
    func extraMembers(ofCall index: Int, _ thought: Thought) -> [String: JSON]
    func callID(_ index: Int, _ thought: Thought) -> String
    /// What stands in the stream before its first chunk.
    func begin(_ answer: inout UpstreamAnswer)
    /// The deltas that stream a thought.
    func reasoningDeltas(_ thought: Thought) -> [JSON]
    /// The `content` of a piece of text.
    func content(_ piece: String) -> JSON
    /// The deltas that stream calls.
    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON]
    func choice(delta: JSON, finish: String?) -> JSON
    /// Whether the counts of tokens stand in the last chunk with a choice rather than in one of their own.
    var sendsUsageWithFinish: Bool { get }
}

/// What a server makes of reasoning that comes back.
enum ReplayRule: Sendable, Equatable {
    /// It knows no such member.
    case refused
    /// It takes what it has sent, and misses nothing.
    case taken
    /// It wants messages with calls to have the member, and accepts an empty one.
    case wantedWithCalls(refusing: String, acceptsEmpty: Bool)
    /// It wants all messages of turns with calls to have the member.
    case wantedInToolTurns(refusing: String)
}

extension Dialect {
    func isReached(at path: String) -> Bool { path == "/v1/chat/completions" }
    var rules: RequestRules { RequestRules(parameters: RequestRules.common) }
    var replay: ReplayRule { .refused }
    func refusal(of request: UpstreamRequest) -> Refusal? { nil }

    func answer(_ refusal: Refusal) -> UpstreamAnswer {
        let error: JSON = [
            "message": .string(refusal.message), "type": "invalid_request_error", "param": refusal.member.map { .string($0) } ?? .null,
            "code": nil,
        ]
        return .json(refusal.status, ["error": error])
    }

    func reasoning(_ thought: Thought) -> [String: JSON] { [:] }
    var wantedMember: String { "reasoning" }
    func extraMembers(ofCall index: Int, _ thought: Thought) -> [String: JSON] { [:] }
    func callID(_ index: Int, _ thought: Thought) -> String { "call_\(thought.generation)\(index)" }
    func begin(_ answer: inout UpstreamAnswer) {}
    func reasoningDeltas(_ thought: Thought) -> [JSON] { [] }
    func content(_ piece: String) -> JSON { .string(piece) }

    /// The head of each call first, then the arguments of all calls in two pieces.
    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON] {
        let heads = calls.enumerated().map { index, call in
            fragment(index, ["id": .string(callID(index, thought)), "type": "function"], name: call.name, arguments: "")
        }
        let halves = calls.map { call in
            (call.arguments.prefix(call.arguments.count / 2), call.arguments.dropFirst(call.arguments.count / 2))
        }
        let first = halves.enumerated().map { index, half in fragment(index, name: nil, arguments: String(half.0)) }
        let second = halves.enumerated().map { index, half in fragment(index, name: nil, arguments: String(half.1)) }
        return heads + first + second
    }

    func choice(delta: JSON, finish: String?) -> JSON {
        ["index": 0, "delta": delta, "finish_reason": finish.map { .string($0) } ?? .null]
    }

    var sendsUsageWithFinish: Bool { false }

    // MARK: Pieces to build with

    /// A delta with one fragment of one call.
    func fragment(_ index: Int, _ members: [String: JSON] = [:], name: String?, arguments: String) -> JSON {
        var function: [String: JSON] = ["arguments": .string(arguments)]
        function["name"] = name.map { .string($0) }
        let call = members.merging(["index": .number(Double(index)), "function": .object(function)]) { $1 }
        return ["tool_calls": [.object(call)]]
    }

    /// A delta for each call, which holds all of it.
    ///
    /// - Parameter index: What the server gives as the index of a call.
    func wholeCallDeltas(
        _ calls: [ScriptedCompletion.Call], _ thought: Thought, index: (Int) -> Int = { $0 }
    ) -> [JSON] {
        calls.enumerated().map { number, call in
            var members = extraMembers(ofCall: number, thought)
            members["id"] = .string(callID(number, thought))
            members["type"] = "function"
            return fragment(index(number), members, name: call.name, arguments: call.arguments)
        }
    }
}

extension UpstreamAnswer {
    static func json(_ status: Int, _ body: JSON) -> UpstreamAnswer {
        UpstreamAnswer(status: status, contentType: "application/json", parts: [.bytes(.init(string: body.text))])
    }
}
