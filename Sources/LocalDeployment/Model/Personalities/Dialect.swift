import NIOCore

/// How one model server differs from OpenAI: what it sends, what it expects back, and how it
/// refuses.
///
/// The defaults are OpenAI's, so a dialect implements only the differences.
protocol Dialect: Sendable {
    // MARK: Requests

    func isReached(at path: String) -> Bool
    var rules: RequestRules { get }
    /// How the server treats the members that hold reasoning in an assistant's message.
    var replay: ReplayRule { get }
    /// Describes why the server refuses a request that all ``rules`` allow.
    ///
    /// - Returns: Nil if it accepts the request.
    func refusal(of request: UpstreamRequest) -> Refusal?
    /// Encodes the response that refuses a request.
    func answer(_ refusal: Refusal) -> UpstreamAnswer

    // MARK: Responses

    /// Returns the members that hold a thought in a complete message.
    func reasoning(_ thought: Thought) -> [String: JSON]
    /// The member with reasoning that the next request must send back. Requests may send the
    /// other members with reasoning back, too.
    var wantedMember: String { get }
    /// Returns the members that a complete call has in addition to OpenAI's.
    func extraMembers(ofCall index: Int, _ thought: Thought) -> [String: JSON]
    func callID(_ index: Int, _ thought: Thought) -> String
    /// Adds what the server sends before its first chunk.
    func begin(_ answer: inout UpstreamAnswer)
    /// Returns the deltas that stream a thought.
    func reasoningDeltas(_ thought: Thought) -> [JSON]
    /// Returns the `content` of a text delta.
    func content(_ piece: String) -> JSON
    /// Returns the deltas that stream calls.
    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON]
    func choice(delta: JSON, finish: String?) -> JSON
    /// Whether the server sends the token counts in the last chunk that has a choice, not in a
    /// chunk of their own.
    var sendsUsageWithFinish: Bool { get }
}

/// How a server treats reasoning that comes back.
enum ReplayRule: Sendable, Equatable {
    /// The server refuses the member as unknown.
    case refused
    /// The server accepts the member, and accepts its absence.
    case taken
    /// The server demands the member in messages with calls, and accepts an empty one if
    /// `acceptsEmpty`.
    case wantedWithCalls(refusing: String, acceptsEmpty: Bool)
    /// The server demands the member in all messages of turns with calls.
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

    /// Returns first the head of each call, then the arguments of all calls in two fragments each.
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

    // MARK: Building blocks

    /// Returns a delta with one fragment of one call.
    func fragment(_ index: Int, _ members: [String: JSON] = [:], name: String?, arguments: String) -> JSON {
        var function: [String: JSON] = ["arguments": .string(arguments)]
        function["name"] = name.map { .string($0) }
        let call = members.merging(["index": .number(Double(index)), "function": .object(function)]) { $1 }
        return ["tool_calls": [.object(call)]]
    }

    /// Returns one delta for each call, which holds the complete call.
    ///
    /// - Parameter index: Returns the index that the server gives to a call.
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
