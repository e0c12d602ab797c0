/// How many of Redis's replicas must have a write before it counts as made: `WAIT`.
///
/// `WAIT` goes by everything that its server had written when the last command of the same connection was executed, and blocks that connection.
public struct Acknowledgement: Sendable, Equatable {
    /// At least 1.
    public var replicas: Int
    /// How long they are waited for.
    public var patience: Duration

    public init(replicas: Int, patience: Duration = .seconds(1)) {
        self.replicas = replicas
        self.patience = patience
    }

    var command: RedisCommand { RedisCommand("WAIT", String(replicas), String(max(1, patience.milliseconds))) }

    /// The first reply. Where `rests` says that something rests on it, the last one must say that enough replicas have acknowledged.
    ///
    /// - Throws: ``RedisError``; `.noReplicas` when too few had it in time. It was written then, and may be lost in a failover.
    func checked(
        _ results: [Result<RedisReply, RedisError>], rests: (RedisReply) -> Bool = { _ in true }
    ) throws(RedisError) -> RedisReply {
        guard let first = results.first, let last = results.last, results.count > 1 else { throw RedisWaiter.neverSent }
        let reply = try first.get()
        if rests(reply) { try check(last) }
        return reply
    }

    func check(_ result: Result<RedisReply, RedisError>) throws(RedisError) {
        let count: Int
        do throws(RedisError) {
            count = try result.get().intValue ?? 0
        } catch {
            // What came before it was executed.
            var error = error
            error.mayHaveBeenApplied = true
            throw error
        }
        guard count >= replicas else {
            throw RedisError(
                .noReplicas, "\(count) of Redis's replicas have acknowledged within \(patience.milliseconds) ms, not \(replicas)",
                mayHaveBeenApplied: true)
        }
    }
}
