import LocalDeployment
import SessionStore

/// A client that holds conversations: session after session, message after message, with the
/// results of tool calls.
struct ConversationRunner {
    let client: AgentClient
    let tenant: DrillTenant
    let progress: Progress
    let patience: Duration
    /// The number of messages in a session. After them the client begins another session.
    let length: Int
    /// Whether messages hold a ``Plan`` for the drill's own model; false for any other model.
    let plans: Bool
    /// Whether the service may refuse requests at limits.
    let hasLimits: Bool
    var random: SeededGenerator
    /// Hears the id of each session that begins.
    var begins: (String) -> Void = { _ in }

    /// Converses until `isOver`, and then to the end of the current turn.
    mutating func run(_ number: Int, until isOver: () -> Bool) async -> [SessionRecord] {
        var records: [SessionRecord] = []
        while !isOver(), !Task.isCancelled {
            var record = SessionRecord(id: "drill-\(progress.run)-\(number)-\(records.count)", tenant: tenant)
            begins(record.id)
            for index in 0..<length where !isOver() && !Task.isCancelled {
                let isSound = await talk(index, &record)
                if !isSound { break }
            }
            records.append(record)
        }
        return records
    }

    /// Sends a message and completes its turn.
    ///
    /// - Returns: Whether the session can go on.
    private mutating func talk(_ index: Int, _ record: inout SessionRecord) async -> Bool {
        let plan = plans ? Plan.random(using: &random).text : "Please say something short."
        var message = MessageRecord(text: "\(record.id)\(tenant.mark) message \(index): \(plan)")
        let key = "\(record.id)-\(index)"
        var body = AgentClient.body(record.id, ["content": .string(message.text)])
        let begun = ContinuousClock.now
        var attempt = 0
        defer { record.messages.append(message) }
        while true {
            attempt += 1
            let cancels = plans && attempt == 1 && Int.random(in: 0..<20, using: &random) == 0
            let cancel = cancels ? cancelSoon(record.id) : nil
            let check = await exchange(body, key: attempt == 1 ? key : "\(key)-retry-\(attempt)", &record)
            cancel?.cancel()
            guard let check, var answer = answer(check, &record) else { return false }
            progress.count { $0.turns += 1 }
            if answer.status != "failed" { message.isAcknowledged = true }
            while answer.status == "waiting" {
                let next = await answerCalls(&answer, &record)
                message.answers.append(answer)
                guard let next else { return false }
                progress.count { $0.turns += 1 }
                answer = next
            }
            guard answer.status == "failed" else {
                message.answers.append(answer)
                return true
            }
            // The model failed, or the service lost every replica that tried. The client asks for
            // another attempt with the same history.
            progress.count { $0.failedAnswers += 1 }
            guard begun.duration(to: .now) < patience, !Task.isCancelled else {
                record.violations.append(
                    Violation(
                        kind: .stuck, session: record.name,
                        detail: "the step failed \(attempt) times, the last time with \(check.error ?? "an error")"))
                return false
            }
            try? await Task.sleep(for: .milliseconds(200 * min(attempt, 10)))
            body = AgentClient.body(record.id, ["type": "retry"])
        }
    }

    /// Sends all results of a completion at the same time, each in a request of its own.
    ///
    /// - Returns: The step that the last result led to.
    private func answerCalls(_ answer: inout AnswerRecord, _ record: inout SessionRecord) async -> AnswerRecord? {
        let (client, patience, progress, session, hasLimits) = (client, patience, progress, record.id, hasLimits)
        typealias Sent = (call: String, result: (outcome: Exchange.Outcome, timing: Timing))
        var checks: [StreamCheck] = []
        var isSound = true
        for await sent in AsyncStream<Sent>.merging(
            answer.calls.map { call in
                {
                    let body = AgentClient.body(
                        session, ["type": "tool_result", "call_id": .string(call), "result": .string("result of \(call)")])
                    let exchange = Exchange(
                        client: client, session: session, body: body, key: nil, patience: patience, hasLimits: hasLimits,
                        progress: progress)
                    return (call, await exchange.run())
                }
            })
        {
            progress.note(sent.result.timing)
            guard let check = take(sent.result.outcome, "the result of \(sent.call)", &record) else {
                isSound = false
                continue
            }
            answer.results[sent.call] = "result of \(sent.call)"
            checks.append(check)
        }
        guard isSound, !Task.isCancelled else { return nil }
        // The request with the last result gets the next step as its response.
        let ends = checks.filter { $0.done?["status"].string != "waiting" || !$0.calls.isEmpty }
        guard let end = ends.last else {
            record.violations.append(
                Violation(
                    kind: .stuck, session: record.name,
                    detail: "the service accepted all results of step \(answer.step), and none led to another step"))
            return nil
        }
        return self.answer(end, &record)
    }

    private func exchange(_ body: JSON, key: String, _ record: inout SessionRecord) async -> StreamCheck? {
        let exchange = Exchange(
            client: client, session: record.id, body: body, key: key, patience: patience, hasLimits: hasLimits, progress: progress)
        let (outcome, timing) = await exchange.run()
        progress.note(timing)
        return take(outcome, "message \(key)", &record)
    }

    /// Records what an exchange showed.
    ///
    /// - Returns: Nil if the exchange gave no step to go on from.
    private func take(_ outcome: Exchange.Outcome, _ what: String, _ record: inout SessionRecord) -> StreamCheck? {
        switch outcome {
        case .told(let check):
            for fault in check.faults {
                record.violations.append(Violation(kind: .stream, session: record.name, detail: "\(what): \(fault)"))
            }
            progress.count { $0.restarts += check.restarts }
            return check
        case .gaveUp(let why):
            guard !Task.isCancelled else { break }
            record.violations.append(
                Violation(kind: .stuck, session: record.name, detail: "\(what) got no complete stream within \(patience): \(why)"))
        case .refused(let status, let code):
            record.violations.append(Violation(kind: .answer, session: record.name, detail: "\(what) got the response \(status) \(code)"))
        }
        return nil
    }

    private func answer(_ check: StreamCheck, _ record: inout SessionRecord) -> AnswerRecord? {
        guard let done = check.done, let status = done["status"].string, let step = done["step"].int else {
            record.violations.append(Violation(kind: .stream, session: record.name, detail: "done has no status or no step"))
            return nil
        }
        return AnswerRecord(step: step, status: status, content: check.content, calls: check.calls)
    }

    /// Cancels the step in the middle, as another client would.
    private func cancelSoon(_ session: String) -> Task<Void, Never> {
        let client = client
        return Task {
            guard (try? await Task.sleep(for: .milliseconds(Int.random(in: 50...400)))) != nil else { return }
            _ = try? await client.send("POST", "/agent/sessions/\(session)/cancel")
        }
    }
}

extension AsyncStream where Element: Sendable {
    /// Returns the results of all `jobs`, in the order in which they arrive.
    static func merging(_ jobs: [@Sendable () async -> Element]) -> AsyncStream<Element> {
        AsyncStream { continuation in
            let task = Task {
                await withTaskGroup(of: Element.self) { group in
                    for job in jobs { group.addTask { await job() } }
                    for await element in group { continuation.yield(element) }
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }
}
