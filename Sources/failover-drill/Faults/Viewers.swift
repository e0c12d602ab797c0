import LocalDeployment

/// Many clients that view one session's answer while it is written.
struct Viewers: Sendable {
    let system: LocalSystem

    /// - Returns: What was done.
    /// - Throws: Where a viewer was not shown the end.
    func run(count: Int, session: String) async throws -> String {
        let client = AgentClient(url: system.balancer.url)
        let plan = Plan(rounds: 0, calls: 0, tokens: 150)
        let answering = Task { try await client.say("\(session) \(plan.text)", in: session) }
        try await eventually("the step runs") {
            let state = try await client.get("/agent/sessions/\(session)")
            return state.status == 200
        }
        let shown = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<count { group.addTask { await view(session, client) } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        // Another fault may cut this client's own stream: then the viewers are still the ones to judge by.
        _ = try? await answering.value
        guard shown == count else { throw NeverHappened(description: "\(count - shown) of \(count) viewers were not shown the end") }
        return "\(count) viewers of one answer"
    }

    /// - Returns: Whether the end was shown: in a stream, or by the word that nothing is left.
    private func view(_ session: String, _ client: AgentClient) async -> Bool {
        for _ in 0..<5 {
            guard let answer = try? await client.get("/agent/sessions/\(session)/stream") else { continue }
            if answer.status == 204 || !answer.done.isNull { return true }
        }
        return false
    }
}
