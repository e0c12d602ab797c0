/// What a model server demands of a conversation. The defaults are OpenAI's demands (I1).
struct ConversationRules: Sendable {
    /// How a server treats an optional member of a request.
    enum Demand: Sendable {
        case wanted, taken, refused
    }

    enum CallIDs: Sendable {
        /// At most 40 characters.
        case short
        /// Exactly nine letters and digits.
        case nine
    }

    /// The roles that the first message may have when it instructs the model.
    var instructingRoles: Set<String> = ["system"]
    /// Members of an assistant's message that the server accepts in addition to OpenAI's.
    var assistantMembers: Set<String> = []
    /// Members of a tool call that the server accepts in addition to OpenAI's.
    var callMembers: Set<String> = []
    /// How the server treats `name` in a tool's message.
    var toolNames = Demand.taken
    var callIDs = CallIDs.short
    /// Whether user and assistant must alternate, as many chat templates demand.
    var takesTurns = false

    /// Describes the first rule that a conversation breaks.
    ///
    /// - Returns: Nil when the conversation breaks no rule.
    func violation(in messages: [JSON]) -> String? {
        var calls = OpenCalls()
        for (index, message) in messages.enumerated() {
            let path = "messages[\(index)]"
            if let why = unknownMembers(of: message) { return "\(path) \(why)" }
            if message["role"] != "tool", let why = calls.unanswered { return "\(path): \(why)" }
            if let why = violation(of: message, isFirst: index == 0, &calls) { return "\(path)\(why)" }
            if takesTurns, index > 0, let why = turnViolation(message, after: messages[index - 1]) { return "\(path): \(why)" }
        }
        if takesTurns, messages.last?["role"] == "assistant" { return "the last message is an assistant's" }
        return calls.unanswered
    }

    private func unknownMembers(of message: JSON) -> String? {
        var known: Set = ["role", "content", "name"]
        switch message["role"].string {
        case "assistant": known.formUnion(assistantMembers.union(["tool_calls"]))
        case "tool": known.insert("tool_call_id")
        default: break
        }
        let unknown = Set(message.object.keys).subtracting(known)
        return unknown.isEmpty ? nil : "has unknown fields \(unknown.sorted())"
    }

    private func violation(of message: JSON, isFirst: Bool, _ calls: inout OpenCalls) -> String? {
        switch message["role"].string {
        case let role? where instructingRoles.contains(role):
            if !isFirst { return ": a \(role) message that is not the first" }
            return message["content"].string == nil ? ".content is missing" : nil
        case "user":
            return message["content"].string == nil && message["content"].array.isEmpty ? ".content is missing" : nil
        case "assistant":
            return violation(ofAssistant: message, &calls)
        case "tool":
            guard let id = message["tool_call_id"].string, calls.answer(id) else { return ": a tool message for no open call" }
            switch toolNames {
            case .wanted where message["name"].string?.isEmpty != false: return ".name is missing"
            case .refused where message.object["name"] != nil: return ".name is unknown"
            case .wanted, .taken, .refused: break
            }
            return message["content"].string == nil && message["content"].array.isEmpty ? ".content is missing" : nil
        default:
            return ".role is \(message["role"])"
        }
    }

    private func violation(ofAssistant message: JSON, _ open: inout OpenCalls) -> String? {
        let calls = message["tool_calls"].array
        if message.object["tool_calls"] != nil, calls.isEmpty { return ".tool_calls is empty" }
        if message["content"].string == nil, calls.isEmpty { return ".content is missing" }
        for call in calls {
            guard let id = call["id"].string, !id.isEmpty, call["type"].string == "function" else { return ": a call is malformed" }
            let unknown = Set(call.object.keys).subtracting(callMembers.union(["id", "type", "function"]))
            guard unknown.isEmpty else { return ": a call has unknown fields \(unknown.sorted())" }
            guard open.add(id) else { return ": the call id \(id) was used before" }
            switch callIDs {
            case .short where id.utf8.count > 40: return ": the call id \(id) has more than 40 characters"
            case .nine where id.wholeMatch(of: /[a-zA-Z0-9]{9}/) == nil:
                return ": Tool call id was \(id) but must be a-z, A-Z, 0-9, with a length of 9."
            case .short, .nine: break
            }
            guard let name = call["function"]["name"].string, name.wholeMatch(of: /[a-zA-Z0-9_-]{1,64}/) != nil else {
                return ": the name of a call does not match ^[a-zA-Z0-9_-]{1,64}$"
            }
            guard let text = call["function"]["arguments"].string, case .object = try? JSON(text) else {
                return ": arguments are not a JSON object"
            }
        }
        return nil
    }

    private func turnViolation(_ message: JSON, after last: JSON) -> String? {
        let (role, before) = (message["role"].string ?? "", last["role"].string ?? "")
        let isInTurn =
            switch role {
            case "user": before == "assistant" || instructingRoles.contains(before)
            case "assistant": before == "user" || before == "tool"
            default: before == "assistant" || before == "tool"
            }
        return isInTurn ? nil : "unexpected role '\(role)' after role '\(before)'"
    }
}

/// The calls of a conversation that have no result yet.
private struct OpenCalls {
    private var open: Set<String> = []
    private var used: Set<String> = []

    var unanswered: String? { open.isEmpty ? nil : "the calls \(open.sorted()) have no answer" }

    /// - Returns: False if an earlier call had this id.
    mutating func add(_ id: String) -> Bool {
        open.insert(id)
        return used.insert(id).inserted
    }

    /// - Returns: False if no open call has this id.
    mutating func answer(_ id: String) -> Bool { open.remove(id) != nil }
}

/// The rules that OpenAI applies to a conversation (I1).
public enum Conversation {
    public static func violation(_ messages: [JSON]) -> String? { ConversationRules().violation(in: messages) }
}
