import LocalDeployment

/// Compares what a session's client has seen with what the service has stored (I1 to I8 of
/// docs/redis-protocol.md). A pure function, so that each violation has a test.
struct Verdict {
    let record: SessionRecord
    /// The response of `GET /agent/sessions/{id}`.
    let state: JSON
    let history: [JSON]
    /// Whether the drill's own model made the texts. Each of its words names its generation.
    let knowsModel: Bool
    /// The marks of the other tenants' messages.
    var others: [String] = []
    /// Returns the mark of the messages that a generation got; nil if it got none.
    var mark: (Int) -> String? = { _ in nil }

    var violations: [Violation] {
        var found = record.violations
        func violate(_ kind: Violation.Kind, _ detail: String) {
            found.append(Violation(kind: kind, session: record.name, detail: detail))
        }
        if state["status"].string == "running" { violate(.stuck, "step \(state["step"].int ?? 0) does not end") }
        if let why = Conversation.violation(history), !isOpenByClient(why) { violate(.history, why) }
        found += messages()
        found += answers()
        found += results()
        if knowsModel { found += generations() }
        found += foreignBytes()
        return found
    }

    /// Checks that state and history hold no message of another tenant, and no text of a generation
    /// that answered one.
    private func foreignBytes() -> [Violation] {
        var found: [Violation] = []
        for json in history + [state] {
            for mark in others where json.text.contains(mark) { found.append(violation(.foreign, "\(mark): \(json.text.prefix(120))")) }
        }
        guard !others.isEmpty else { return found }
        let texts = history.compactMap { $0["role"] == "assistant" ? $0["content"].string : nil }
        for text in texts + record.messages.flatMap(\.answers).compactMap(\.content) {
            guard let number = DrillModel.generation(of: text), let mark = mark(number), mark != record.tenant.mark else { continue }
            found.append(violation(.foreign, "the text of a generation of \(mark): \(text.prefix(60))"))
        }
        return found
    }

    /// Returns whether a call is open because the client never got its result accepted. That is a
    /// violation of its own.
    private func isOpenByClient(_ why: String) -> Bool {
        !record.violations.isEmpty && why.hasSuffix("have no answer")
    }

    /// Checks I2: the history holds acknowledged messages once, others at most once, and all of
    /// them in the order in which the client sent them.
    private func messages() -> [Violation] {
        var found: [Violation] = []
        var positions: [Int] = []
        for message in record.messages {
            let at = history.indices.filter { history[$0]["role"] == "user" && history[$0]["content"] == .string(message.text) }
            if at.isEmpty, message.isAcknowledged { found.append(violation(.lost, "\(message.text) is not in the history")) }
            if at.count > 1 { found.append(violation(.duplicate, "the history holds \(message.text) \(at.count) times")) }
            positions += at.prefix(1)
        }
        if positions != positions.sorted() {
            found.append(violation(.history, "the messages are not in the order in which the client sent them"))
        }
        let known = Set(record.messages.map(\.text))
        for message in history where message["role"] == "user" && !known.contains(message["content"].string ?? "") {
            found.append(violation(.history, "the client never sent \(message["content"])"))
        }
        return found
    }

    /// Checks I4: each step whose end the client saw is in the history, between its message and the
    /// next.
    private func answers() -> [Violation] {
        var found: [Violation] = []
        for message in record.messages {
            let turn = turn(of: message)
            for answer in message.answers where ["completed", "waiting", "cancelled"].contains(answer.status) {
                guard let content = answer.content, !content.isEmpty else { continue }
                let count = turn.count { $0["role"] == "assistant" && $0["content"] == .string(content) }
                if count == 0 {
                    found.append(
                        violation(
                            .lost, "step \(answer.step), which ended as \(answer.status), is not in the history: \(content.prefix(60))"))
                }
                if count > 1, knowsModel {
                    found.append(violation(.duplicate, "the history holds step \(answer.step) \(count) times: \(content.prefix(60))"))
                }
            }
            // A step writes one text. Two texts in a row have two writers (I3).
            for (one, next) in zip(turn, turn.dropFirst()) where one["role"] == "assistant" && next["role"] == "assistant" {
                if one["tool_calls"].array.isEmpty, !isRetried(message) {
                    found.append(
                        violation(
                            .duplicate,
                            "two texts follow one message: \(one["content"].string?.prefix(40) ?? "") / \(next["content"].string?.prefix(40) ?? "")"
                        ))
                }
            }
        }
        return found
    }

    /// Returns whether a cancelled step was retried, which may leave two texts.
    private func isRetried(_ message: MessageRecord) -> Bool { message.answers.count { $0.status == "cancelled" } > 1 }

    /// Checks I1 and I2: the history holds each accepted result once, as the client sent it.
    private func results() -> [Violation] {
        var found: [Violation] = []
        for (call, result) in record.messages.flatMap(\.answers).flatMap(\.results) {
            let stored = history.filter { $0["role"] == "tool" && $0["tool_call_id"] == .string(call) }
            if stored.isEmpty { found.append(violation(.lost, "the result of \(call) is not in the history")) }
            if stored.count > 1 { found.append(violation(.duplicate, "the history holds \(stored.count) results of \(call)")) }
            if let text = stored.first?["content"].string, text != result {
                found.append(violation(.history, "the result of \(call) is stored as \(text)"))
            }
        }
        return found
    }

    /// Checks I3 and I5: a text comes from one generation and has no gap. It has an end unless it
    /// was cancelled.
    private func generations() -> [Violation] {
        let cancelled = Set(record.messages.flatMap(\.answers).filter { $0.status == "cancelled" }.compactMap(\.content))
        return history.compactMap { message in
            guard message["role"] == "assistant", let text = message["content"].string, !text.isEmpty else { return nil }
            guard let fault = DrillModel.fault(in: text, mayEndEarly: cancelled.contains(text)) else { return nil }
            return violation(.history, "\(fault): \(text.prefix(60))")
        }
    }

    private func turn(of message: MessageRecord) -> ArraySlice<JSON> {
        guard let start = history.firstIndex(where: { $0["role"] == "user" && $0["content"] == .string(message.text) }) else { return [] }
        let rest = history[(start + 1)...]
        return rest[..<(rest.firstIndex { $0["role"] == "user" } ?? rest.endIndex)]
    }

    private func violation(_ kind: Violation.Kind, _ detail: String) -> Violation {
        Violation(kind: kind, session: record.name, detail: detail)
    }
}
