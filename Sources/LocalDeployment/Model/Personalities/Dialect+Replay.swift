extension Dialect {
    /// The names of the members that hold reasoning.
    private var members: [String] { reasoning(Thought(generation: "00000000", position: 0)).keys.sorted() }

    /// Describes what is wrong with the reasoning that a request brings back.
    ///
    /// - Parameter isStrict: Whether each assistant's message must bring back the reasoning that
    ///   the server sent with it, even where the server itself would accept its absence.
    /// - Returns: Nil if nothing is wrong.
    func replayRefusal(of messages: [JSON], isStrict: Bool = false) -> Refusal? {
        var position = 0
        for (index, message) in messages.enumerated() where message["role"] == "assistant" {
            let calls = message["tool_calls"].array
            let isInToolTurn = !calls.isEmpty || hasCalls(in: messages[..<index])
            if let why = fault(in: message, position: position, isInToolTurn: isInToolTurn, isStrict: isStrict) {
                return Refusal(why + (isStrict ? " (messages[\(index)])" : ""), member: "messages")
            }
            if let why = callFault(calls, position: position) { return Refusal(why, member: "messages") }
            if !calls.isEmpty { position += 1 }
        }
        return nil
    }

    /// Returns whether the turn at the end of `messages`, which is still under way, has called
    /// tools.
    private func hasCalls(in messages: ArraySlice<JSON>) -> Bool {
        messages.reversed().prefix { $0["role"] != "user" }.contains { !$0["tool_calls"].array.isEmpty }
    }

    private func fault(in message: JSON, position: Int, isInToolTurn: Bool, isStrict: Bool) -> String? {
        guard replay != .refused, !members.isEmpty else { return nil }
        let calls = message["tool_calls"].array
        let wanted = message.object[wantedMember]
        let isMissing = wanted == nil
        let isEmpty = isMissing || wanted == "" || wanted == []
        if isStrict, isEmpty { return "the reasoning did not come back" }
        // False for calls that another model made, and for a text whose generation was cancelled
        // before its end.
        let hasOwn = generation(ofCalls: calls) != nil
        switch replay {
        case .wantedWithCalls(let refusal, let acceptsEmpty):
            if !calls.isEmpty, isMissing || (isEmpty && hasOwn && !acceptsEmpty) { return refusal }
        case .wantedInToolTurns(let refusal):
            if isInToolTurn, isMissing || (isEmpty && hasOwn) { return refusal }
        case .refused, .taken:
            break
        }
        let present = members.filter { ![nil, "", []].contains(message.object[$0]) }
        return damage(in: message, present, position: position, isStrict: isStrict)
    }

    /// Compares the reasoning that came back with the reasoning that was sent, byte for byte.
    private func damage(in message: JSON, _ present: [String], position: Int, isStrict: Bool) -> String? {
        let calls = message["tool_calls"].array
        for member in present {
            let value = message[member]
            let claim = value.string ?? value.array.first?["text"].string ?? ""
            guard let thought = Thought(claimedBy: claim), thought.position == position else {
                return "\(member) belongs to another message: \(value)"
            }
            if let generation = generation(ofCalls: calls), generation != thought.generation {
                return "\(member) is of generation \(thought.generation), the calls are of \(generation)"
            }
            guard let genuine = reasoning(thought)[member], value != genuine else { continue }
            // A cancelled step holds only the first part of its reasoning and of its text.
            if !isStrict, calls.isEmpty, thought.text.hasPrefix(claim) { continue }
            return "\(member) is not what was sent: \(value)"
        }
        return nil
    }

    /// Reads the generation from the calls' ids.
    ///
    /// - Returns: Nil if another model made the ids.
    private func generation(ofCalls calls: [JSON]) -> String? {
        guard let id = calls.first?["id"].string else { return nil }
        return id.firstMatch(of: /^(?:call_|chatcmpl-tool-)([0-9a-f]{8})/).map { String($0.output.1) }
    }

    private func callFault(_ calls: [JSON], position: Int) -> String? {
        for (index, call) in calls.enumerated() {
            let wanted = extraMembers(ofCall: index, Thought(generation: "00000000", position: position)).keys
            for member in wanted.sorted() {
                guard let thought = thought(inCall: call) else { return missingCallMember(call, index) }
                guard call[member] == extraMembers(ofCall: index, thought)[member], thought.position == position else {
                    return "Thought signature is not valid: \(call[member])"
                }
            }
            if wanted.isEmpty, let extra = call.object.keys.sorted().first(where: rules.conversation.callMembers.contains) {
                return "\(extra) was not sent with this call"
            }
        }
        return nil
    }

    private func thought(inCall call: JSON) -> Thought? {
        call["extra_content"]["google"]["thought_signature"].string.flatMap { Thought(claimedBy: $0) }
    }

    private func missingCallMember(_ call: JSON, _ index: Int) -> String {
        "Function call is missing a thought_signature in functionCall parts. Additional data, function call "
            + "`default_api:\(call["function"]["name"].string ?? "")` , position \(index + 1)."
    }
}
