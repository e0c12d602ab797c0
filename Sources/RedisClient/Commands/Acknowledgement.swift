/// The number of Redis's replicas that must acknowledge a write before the write counts as made
/// (`WAIT`).
///
/// `WAIT` covers every write that the same connection made before it, and blocks that connection
/// meanwhile.
public struct Acknowledgement: Sendable, Equatable {
    /// The number of replicas, at least 1.
    public var replicas: Int
    /// How long `WAIT` may take.
    public var patience: Duration

    /// - Parameters:
    ///   - replicas: The number of replicas, at least 1.
    ///   - patience: How long `WAIT` may take, at least 1 ms.
    public init(replicas: Int, patience: Duration = .seconds(1)) {
        self.replicas = replicas
        self.patience = patience
    }

    /// The `WAIT` command that follows the write.
    package var command: RedisCommand { RedisCommand("WAIT", String(replicas), String(max(1, patience.milliseconds))) }

    /// Returns the first of `results`, after checking the last one, which is the reply to
    /// ``command``.
    ///
    /// - Parameter rests: Whether the caller relies on the write that the first reply reports. If
    ///   it returns false, the last reply is not checked.
    /// - Throws: ``RedisError``, with `.noReplicas` when too few replicas have acknowledged in
    ///   time. The write is made in this case, and a failover may lose it.
    package func checked(
        _ results: [Result<RedisReply, RedisError>], rests: (RedisReply) -> Bool = { _ in true }
    ) throws(RedisError) -> RedisReply {
        guard let first = results.first, let last = results.last, results.count > 1 else { throw RedisError.neverSent }
        let reply = try first.get()
        if rests(reply) { try check(last) }
        return reply
    }

    /// Checks a reply to ``command``.
    ///
    /// - Throws: ``RedisError``, with `.noReplicas` when too few replicas have acknowledged in
    ///   time.
    package func check(_ result: Result<RedisReply, RedisError>) throws(RedisError) {
        let count: Int
        do throws(RedisError) {
            count = try result.get().intValue ?? 0
        } catch {
            // `WAIT` failed, but Redis has executed the write before it.
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
