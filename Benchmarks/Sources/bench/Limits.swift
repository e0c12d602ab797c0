import SessionStore

extension Bench {
    /// Measures what limits and usage cost Redis: turns by the store alone, as ``primary()`` runs
    /// them, without an account and for accounts with more and more limits. No limit is reached.
    /// The variants take turns, so that a change of the machine's load meets all of them.
    func limits() async throws {
        say("\nlimits: turns by the store alone on one Redis, 64 sessions of one account; \(runs) runs of \(format(seconds, 1)) s, medians")
        row([("account", 18), ("turns/s", 8), ("Redis CPU us/turn", 17), ("more", 6)])
        let variants: [(name: String, limits: UsageLimits?)] = [
            ("none", nil), ("usage alone", UsageLimits.none), ("streams", UsageLimits(streams: 1000)),
            (
                "all limits",
                UsageLimits(
                    streams: 1000, requestsPerMinute: 1_000_000_000, tokensPerMinute: 1_000_000_000_000, tokensPerDay: 1_000_000_000_000)
            ),
        ]
        var rates = [[Double]](repeating: [], count: variants.count)
        var cpu = rates
        for _ in 0..<runs {
            for (index, variant) in variants.enumerated() {
                let servers = try await RedisNodes.start(1)
                var load = StoreLoad(appends: 0, tokens: 0)
                if let limits = variant.limits { load.accounts = [Account(key: "bench", tenant: .standard, limits: limits)] }
                let sample = try await load.run(servers, seconds: seconds)
                rates[index].append(Double(sample.turns) / sample.elapsed)
                cpu[index].append(sample.cpu.reduce(0, +) * 1e6 / Double(sample.turns))
                servers.stop()
            }
        }
        for (index, variant) in variants.enumerated() {
            row([
                (variant.name, 18), (format(rates[index].median, 0), 8), (format(cpu[index].median, 1), 17),
                (format(cpu[index].median - cpu[0].median, 1), 6),
            ])
        }
    }
}
