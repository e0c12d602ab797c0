import LocalDeployment
import SessionStore

/// One client that talks: session after session, message after message, tool results included.
struct ConversationRunner {
    let client: AgentClient
    let progress: Progress
    let patience: Duration
    /// Messages of a session, before another one is begun.
    let length: Int
    /// Which answers the drill's own model is asked for; nil with somebody else's model.
    let plans: Bool
    var random: SeededGenerator

    /// Talks until `isOver`, and then to the end of the message at hand.
    mutating func run(_ number: Int, until isOver: () -> Bool) async -> [SessionRecord] {
        var records: [SessionRecord] = []
        while !isOver(), !Task.isCancelled {
            var record = SessionRecord(id: "drill-\(progress.run)-\(number)-\(records.count)")
            for index in 0..<length where !isOver() && !Task.isCancelled {
                let isSound = await talk(index, &record)
                if !isSound { break }
            }
            records.append(record)
        }
        return records
    }

    /// A message, and everything to the end of its turn.
    ///
    /// - Returns: Whether the session can go on.
    private mutating func talk(_ index: Int, _ record: inout SessionRecord) async -> Bool {
        let plan = plans ? Plan.random(using: &random).text : "Please say something short."
        var message = MessageRecord(text: "\(record.id) message \(index): \(plan)")
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
            // The model failed, or every replica that tried was lost: the same history once more.
            progress.count { $0.failedAnswers += 1 }
            guard begun.duration(to: .now) < patience, !Task.isCancelled else {
                record.violations.append(
                    Violation(
                        kind: .stuck, session: record.id, detail: "failed \(attempt) times, at last with \(check.error ?? "an error")"))
                return false
            }
            try? await Task.sleep(for: .milliseconds(200 * min(attempt, 10)))
            body = AgentClient.body(record.id, ["type": "retry"])
        }
    }

    /// All results of an answer at once, each by itself.
    ///
    /// - Returns: The answer that the last of them led to.
    private func answerCalls(_ answer: inout AnswerRecord, _ record: inout SessionRecord) async -> AnswerRecord? {
        let (client, patience, progress, session) = (client, patience, progress, record.id)
        typealias Sent = (call: String, result: (outcome: Exchange.Outcome, timing: Timing))
        var checks: [StreamCheck] = []
        var isSound = true
        for await sent in AsyncStream<Sent>.merging(
            answer.calls.map { call in
                {
                    let body = AgentClient.body(
                        session, ["type": "tool_result", "call_id": .string(call), "result": .string("result of \(call)")])
                    let exchange = Exchange(client: client, session: session, body: body, key: nil, patience: patience, progress: progress)
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
        // One of them was the last, and its request was answered with the next step.
        let ends = checks.filter { $0.done?["status"].string != "waiting" || !$0.calls.isEmpty }
        guard let end = ends.last else {
            record.violations.append(
                Violation(
                    kind: .stuck, session: record.id, detail: "all results of step \(answer.step) were taken, and none led to an answer"))
            return nil
        }
        return self.answer(end, &record)
    }

    private func exchange(_ body: JSON, key: String, _ record: inout SessionRecord) async -> StreamCheck? {
        let exchange = Exchange(client: client, session: record.id, body: body, key: key, patience: patience, progress: progress)
        let (outcome, timing) = await exchange.run()
        progress.note(timing)
        return take(outcome, "message \(key)", &record)
    }

    /// - Returns: Nil where there is no answer to go on from.
    private func take(_ outcome: Exchange.Outcome, _ what: String, _ record: inout SessionRecord) -> StreamCheck? {
        switch outcome {
        case .told(let check):
            for fault in check.faults {
                record.violations.append(Violation(kind: .stream, session: record.id, detail: "\(what): \(fault)"))
            }
            progress.count { $0.restarts += check.restarts }
            return check
        case .gaveUp(let why):
            guard !Task.isCancelled else { break }
            record.violations.append(Violation(kind: .stuck, session: record.id, detail: "\(what) had no answer in \(patience): \(why)"))
        case .refused(let status, let code):
            record.violations.append(Violation(kind: .answer, session: record.id, detail: "\(what) was answered \(status) \(code)"))
        }
        return nil
    }

    private func answer(_ check: StreamCheck, _ record: inout SessionRecord) -> AnswerRecord? {
        guard let done = check.done, let status = done["status"].string, let step = done["step"].int else {
            record.violations.append(Violation(kind: .stream, session: record.id, detail: "a done without status or step"))
            return nil
        }
        return AnswerRecord(step: step, status: status, content: check.content, calls: check.calls)
    }

    /// Somebody else cancels the step in the middle.
    private func cancelSoon(_ session: String) -> Task<Void, Never> {
        let client = client
        return Task {
            guard (try? await Task.sleep(for: .milliseconds(Int.random(in: 50...400)))) != nil else { return }
            _ = try? await client.send("POST", "/agent/sessions/\(session)/cancel")
        }
    }
}

extension AsyncStream where Element: Sendable {
    /// What all of `jobs` give, as it comes.
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
