import LocalDeployment

/// Many clients that follow one session's stream while a step writes it.
struct Viewers: Sendable {
    let system: LocalSystem

    /// Starts a step and `count` viewers.
    ///
    /// - Returns: What happened, for the report.
    /// - Throws: If a viewer did not see the end.
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
        // Another fault may cut this client's own stream. The viewers are then still a valid check.
        _ = try? await answering.value
        guard shown == count else { throw NeverHappened(description: "\(count - shown) of \(count) viewers did not see the end") }
        return "\(count) clients followed one stream"
    }

    /// Follows the session's stream.
    ///
    /// - Returns: Whether the viewer saw the end: as `done`, or as status 204.
    private func view(_ session: String, _ client: AgentClient) async -> Bool {
        for _ in 0..<5 {
            guard let answer = try? await client.get("/agent/sessions/\(session)/stream") else { continue }
            if answer.status == 204 || !answer.done.isNull { return true }
        }
        return false
    }
}
