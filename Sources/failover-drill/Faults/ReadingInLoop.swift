import LocalDeployment
import NIOCore
import SessionStore

/// Clients that read one session's long history in a loop.
struct ReadingInLoop: Sendable {
    private static let readers = 4
    private static let messages = 150
    /// The size of each message.
    private static let bytes = 100_000

    let system: LocalSystem

    /// Reads for `duration`.
    ///
    /// - Returns: What happened, for the report.
    func run(for duration: Duration) async throws -> String {
        guard let session = SessionID("drill-long-history") else { return "no session to read" }
        try write(RedisKeys(session))
        let end = ContinuousClock.now + duration
        let bytes = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<Self.readers { group.addTask { await read(session, until: end) } }
            return await group.reduce(0, +)
        }
        return "\(Self.readers) clients read \(bytes >> 20) MiB of one history"
    }

    /// Writes the history unless Redis holds it already.
    private func write(_ keys: RedisKeys) throws {
        guard try system.redis.cli(keys.history, ["LLEN", keys.history]) != "\(Self.messages)" else { return }
        try system.redis.cli(keys.history, ["DEL", keys.history])
        let text = String(repeating: "x", count: Self.bytes)
        for index in 0..<Self.messages {
            let role = index % 2 == 0 ? "user" : "assistant"
            try system.redis.cli(keys.history, ["RPUSH", keys.history, #"{"role":"\#(role)","content":"\#(text)"}"#])
        }
        try system.redis.cli(keys.state, ["HSET", keys.state, "status", "idle", "fence", "1", "epoch", "drill"])
    }

    /// Reads page after page until `end`.
    ///
    /// - Returns: The number of bytes read.
    private func read(_ session: SessionID, until end: ContinuousClock.Instant) async -> Int {
        let client = AgentClient(url: system.balancer.url)
        var (offset, bytes) = (0, 0)
        while ContinuousClock.now < end {
            guard let page = try? await client.get("/agent/sessions/\(session)/history?limit=1000&offset=\(offset)"), page.status == 200
            else {
                try? await Task.sleep(for: .milliseconds(50))
                continue
            }
            bytes += page.body.readableBytes
            offset = page.json["next_offset"].int ?? 0
        }
        return bytes
    }
}
