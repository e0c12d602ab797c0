import Foundation
import NIOCore

extension Bench {
    /// Measures turns per second, CPU per turn, and the time to the first token at 1, 16, 64 and
    /// 256 sessions. A client begins a new session after ten turns.
    func turns(_ path: String) async throws {
        say("\nturns: each client posts, reads the stream to its end, and posts again; \(runs) runs of \(format(seconds, 1)) s, medians")
        row([
            ("sessions", 8), ("turns/s", 8), ("server CPU ms/turn", 18), ("Redis CPU us/turn", 17), ("first token ms p50", 18), ("p99", 7),
            ("failures", 8),
        ])
        for clients in sessions {
            var rate: [Double] = []
            var cpu: [Double] = []
            var redisCPU: [Double] = []
            var p50: [Double] = []
            var p99: [Double] = []
            var failures: [String] = []
            for run in 0..<runs {
                let setup = try await Setup(server: path)
                _ = try await load(setup, clients: clients, seconds: 0.5, name: "warm\(run)")
                let (server, redis) = (setup.server.cpuSeconds, setup.redis.cpuSeconds)
                let start = Date()
                let result = try await load(setup, clients: clients, seconds: seconds, name: "run\(run)")
                let elapsed = Date().timeIntervalSince(start)
                let count = Double(max(result.turns, 1))
                rate.append(count / elapsed)
                cpu.append((setup.server.cpuSeconds - server) * 1000 / count)
                redisCPU.append((setup.redis.cpuSeconds - redis) * 1e6 / count)
                p50.append(result.firstToken.median * 1000)
                p99.append(result.firstToken.percentile(0.99) * 1000)
                failures += result.failures
                try await setup.stop()
            }
            row([
                ("\(clients)", 8), (format(rate.median, 0), 8), (format(cpu.median, 3), 18), (format(redisCPU.median, 0), 17),
                (format(p50.median), 18), (format(p99.median), 7), ("\(failures.count)", 8),
            ])
            if let failure = failures.first { say("    first failure: \(failure)") }
        }
        let direct = try await direct(path)
        say("the upstream alone, one client: first token \(format(direct.firstToken.median * 1000, 3)) ms")
    }

    private func load(_ setup: Setup, clients: Int, seconds: Double, name: String) async throws -> LoadResult {
        let end = NIODeadline.now() + .nanoseconds(Int64(seconds * 1e9))
        return try await LoadClient.run(clients: clients, port: setup.port, group: setup.group) { client, n in
            NIODeadline.now() < end ? LoadClient.message("Hello", session: "\(name)-\(client)-\(n / 10)") : nil
        }
    }

    private func direct(_ path: String) async throws -> LoadResult {
        let setup = try await Setup(server: path)
        let body = #"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#
        let result = try await LoadClient.run(clients: 1, port: setup.upstream.port, group: setup.group, marker: "token ") { _, n in
            n < 2000 ? LoadClient.post("/v1/chat/completions", body) : nil
        }
        try await setup.stop()
        return result
    }

    /// Measures resident memory over many turns.
    func soak(_ path: String) async throws {
        say("\nsoak: \(soakTurns) turns from 64 clients")
        row([("turns", 8), ("server RSS MiB", 14), ("failures", 8)])
        // The histories expire, so that they do not fill the machine's memory.
        let setup = try await Setup(server: path, environment: ["AGENT_RUNTIME__SESSION_TTL": "10"], redisOptions: ["--appendfsync", "no"])
        let parts = 20
        for part in 0...parts {
            let result = try await LoadClient.run(clients: 64, port: setup.port, group: setup.group) { client, n in
                n < max(1, soakTurns / parts / 64) ? LoadClient.message("Hello", session: "soak-\(part)-\(client)-\(n / 10)") : nil
            }
            row([("\(part * soakTurns / parts)", 8), (format(setup.server.residentKiB / 1024, 1), 14), ("\(result.failures.count)", 8)])
        }
        try await setup.stop()
    }
}
