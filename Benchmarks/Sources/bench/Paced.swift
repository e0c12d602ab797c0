import Foundation

extension Bench {
    /// Measures the time that the server adds to each token when models are as slow as real ones:
    /// responses of 100 tokens, a few ms apart, one after another on each connection. The first
    /// responses are not counted, because they open connections.
    func paced(_ path: String) async throws {
        say(
            "\npaced: 100 tokens, \(pace) ms apart; the time from the model's write to the client's read; \(pacedRounds) responses per stream"
        )
        row([
            ("streams", 8), ("ms p50", 8), ("p99", 8), ("upstream alone p50", 18), ("p99", 8), ("added p50", 10), ("p99", 8),
            ("server CPU us/token", 19), ("Redis's", 7), ("client's and model's", 20), ("failures", 8),
        ])
        for streams in pacedStreams {
            let loop = try PacedLoop(pace: pace)
            let setup = try await Setup(server: path, upstreamPort: loop.port)
            let body = #"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#
            let direct = try loop.measure(streams: streams, port: loop.port, rounds: pacedRounds) { _ in
                LoadClient.post("/v1/chat/completions", body)
            }
            let before = (server: setup.server.cpuSeconds, redis: setup.redis.cpuSeconds, bench: Child.ownCPUSeconds)
            let through = try loop.measure(streams: streams, port: setup.port, rounds: pacedRounds) {
                LoadClient.message("hello", session: "p-\($0)")
            }
            // The CPU time includes the first responses.
            let perToken = 1e6 / Double(max(1, through.delays.count)) * Double(pacedRounds) / Double(pacedRounds + 1)
            let server = (setup.server.cpuSeconds - before.server) * perToken
            let redis = (setup.redis.cpuSeconds - before.redis) * perToken
            let bench = (Child.ownCPUSeconds - before.bench) * perToken
            let (p50, p99) = (through.delays.percentile(0.5), through.delays.percentile(0.99))
            let (direct50, direct99) = (direct.delays.percentile(0.5), direct.delays.percentile(0.99))
            row([
                ("\(streams)", 8), (format(p50, 3), 8), (format(p99, 3), 8), (format(direct50, 3), 18), (format(direct99, 3), 8),
                (format(p50 - direct50, 3), 10), (format(p99 - direct99, 3), 8), (format(server, 1), 19), (format(redis, 1), 7),
                (format(bench, 1), 20),
                ("\(through.failures.count)", 8),
            ])
            if let failure = through.failures.first { say("  a failure: \(failure)") }
            try await setup.stop()
        }
    }
}
