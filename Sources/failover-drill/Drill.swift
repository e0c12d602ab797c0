import Foundation
import LocalDeployment
import NIOCore

/// Runs conversations and faults at the same time, and then judges every session.
struct Drill: Sendable {
    struct Options: Sendable {
        var title: String
        var duration: Duration
        var interval: Duration
        var conversations: Int
        var seed: UInt64
        /// How long a client retries one request.
        var patience: Duration
        /// The number of messages in a session.
        var length = 10
    }

    /// A fault that the drill can cause.
    struct Fault: Sendable {
        var name: String
        /// What the drill does.
        var summary: String
    }

    let options: Options
    let url: String
    /// Whose clients converse. They take turns.
    let tenants: [DrillTenant]
    let faults: [Fault]
    /// Causes a fault, repairs it, and returns what happened.
    let inject: @Sendable (Schedule.Entry) async throws -> String
    /// The drill's own model; nil for a deployment that the drill has not built.
    let model: DrillModel?
    let progress: Progress
    /// Watches the limits of the tenants' accounts; nil without limits.
    var limits: LimitWatch?

    func run() async -> Summary {
        let schedule = Schedule(names: faults.map(\.name), every: options.interval, duration: options.duration, seed: options.seed)
        async let talking = talk()
        let watching = Task { await limits?.run() }
        await injectAll(schedule)
        progress.announce("no more faults; the clients converse until \(options.duration.components.seconds) s, and complete their turns")
        let records = await talking
        progress.announce("the drill compares \(records.count) sessions with what their clients saw")
        // A task of its own, so that a drill that was cancelled is judged too.
        let violations = await Task { await judge(records) }.value
        watching.cancel()
        await watching.value
        return Summary(
            title: options.title, seed: options.seed, duration: progress.elapsed, sessions: records.count,
            messages: records.reduce(0) { $0 + $1.messages.count }, counts: progress.counts, faults: progress.faults,
            samples: progress.samples, violations: violations + (limits?.violations ?? []),
            modelViolations: model?.violations ?? [], limits: limits.map { ($0.readings, $0.most) })
    }

    private func client(of tenant: DrillTenant) -> AgentClient {
        // A client gives up a stream that brings not even comments, and resumes it on another
        // replica.
        var client = AgentClient(url: url, headers: tenant.headers, silence: model == nil ? .seconds(30) : .seconds(5))
        client.timeout = .seconds(180)
        return client
    }

    private func talk() async -> [SessionRecord] {
        let (options, progress, plans) = (options, progress, model != nil)
        let end = progress.begun.advanced(by: options.duration)
        return await withTaskGroup(of: [SessionRecord].self) { group in
            for number in 0..<options.conversations {
                let tenant = tenants[number % tenants.count]
                let (client, limits, name) = (client(of: tenant), limits, number / tenants.count)
                group.addTask {
                    let random = SeededGenerator(seed: options.seed &+ UInt64(number) &* 7919)
                    var runner = ConversationRunner(
                        client: client, tenant: tenant, progress: progress, patience: options.patience, length: options.length,
                        plans: plans, hasLimits: limits != nil, random: random)
                    runner.begins = { limits?.watch($0, of: tenant, conversation: number) }
                    return await runner.run(name) { ContinuousClock.now >= end }
                }
            }
            var records: [SessionRecord] = []
            for await some in group { records += some }
            return records
        }
    }

    /// Causes the faults one after another. A fault that takes longer than the interval delays the
    /// next.
    private func injectAll(_ schedule: Schedule) async {
        for entry in schedule.entries {
            let wait = entry.at - progress.elapsed
            if wait > .zero { try? await Task.sleep(for: wait) }
            guard !Task.isCancelled, progress.elapsed < options.duration else { return }
            let number = progress.begin(entry.name, faults.first { $0.name == entry.name }?.summary ?? "")
            do {
                progress.end(number, detail: try await inject(entry))
            } catch {
                progress.end(number, detail: "\(error)", failed: true)
            }
        }
    }

    private func judge(_ records: [SessionRecord]) async -> [Violation] {
        var violations: [Violation] = []
        var waiting = records[...]
        await withTaskGroup(of: [Violation].self) { group in
            // Only 32 at a time, so that the end of a large drill does not overload the service.
            for record in waiting.prefix(32) { group.addTask { await verdict(record, client(of: record.tenant)) } }
            waiting = waiting.dropFirst(32)
            for await some in group {
                violations += some
                if let record = waiting.popFirst() { group.addTask { await verdict(record, client(of: record.tenant)) } }
            }
        }
        return violations
    }

    private func verdict(_ record: SessionRecord, _ client: AgentClient) async -> [Violation] {
        guard !record.messages.isEmpty else { return record.violations }
        var why = ""
        let deadline = ContinuousClock.now.advanced(by: options.patience)
        repeat {
            do {
                let state = try await client.get("/agent/sessions/\(record.id)")
                if state.status == 404, !record.messages.contains(where: \.isAcknowledged) { return record.violations }
                guard state.status == 200 else {
                    why = "\(state.status) \(state.code ?? "")"
                    if state.status == 404 { break }
                    try await Task.sleep(for: .milliseconds(200))
                    continue
                }
                // Another replica ends a step whose owner was lost.
                if state.json["status"] == "running", ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(200))
                    continue
                }
                let history = try await client.get("/agent/sessions/\(record.id)/history?limit=1000&include_system=true")
                guard history.status == 200 else { continue }
                return Verdict(
                    record: record, state: state.json, history: history.json["messages"].array, knowsModel: model != nil,
                    others: tenants.map(\.mark).filter { $0 != record.tenant.mark }, mark: { [model] in model?.mark(of: $0) }
                ).violations
            } catch {
                why = "\(error)"
            }
        } while ContinuousClock.now < deadline
        return record.violations + [Violation(kind: .lost, session: record.name, detail: "the service does not return the session: \(why)")]
    }
}
