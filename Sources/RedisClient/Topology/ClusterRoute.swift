/// The route for commands of one slot of a Cluster. It follows redirections, and updates the
/// topology's table from them.
struct ClusterRoute: Sendable {
    typealias Completion = @Sendable (Result<RedisReply, RedisError>) -> Void

    let topology: ClusterTopology
    let slot: Int
    /// The lane of the connections.
    let lane: RedisLane

    var connection: RedisConnection { node.connection(lane) }
    private var node: ClusterNode { topology.node(for: slot) }

    // MARK: Tasks

    func send(pipeline: [RedisCommand]) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        var redirects = ClusterRedirects()
        var (node, asks) = (self.node, false)
        while true {
            let connection = node.connection(lane)
            var results = try await connection.send(pipeline: asks ? ClusterRedirects.asking(pipeline) : pipeline)
            if asks { results = ClusterRedirects.withoutAsking(results, to: pipeline) }
            switch next(&redirects, after: results, to: pipeline, from: node) {
            case .node(let other, let othersAsks): (node, asks) = (other, othersAsks)
            case .answer: return results
            case .failure(let error): return results.map { _ in .failure(error) }
            }
        }
    }

    /// Calls a script with `following` commands in the same write, by its text if the node does not
    /// have the script cached.
    func evaluate(
        _ call: RedisScriptCall, following: [RedisCommand]
    ) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        let results = try await send(pipeline: [call.command] + following)
        guard case .failure(let error)? = results.first, error.code == .noScript else { return results }
        return try await send(pipeline: [call.withSource] + following)
    }

    // MARK: Callbacks

    func submit(_ command: RedisCommand, completion: @escaping Completion) {
        submit(command, to: node, asks: false, redirects: ClusterRedirects(), completion: completion)
    }

    func submitEvaluate(_ call: RedisScriptCall, completion: @escaping Completion) {
        submit(call.command) { result in
            guard case .failure(let error) = result, error.code == .noScript else { return completion(result) }
            self.submit(call.withSource, completion: completion)
        }
    }

    private func submit(
        _ command: RedisCommand, to node: ClusterNode, asks: Bool, redirects: ClusterRedirects, completion: @escaping Completion
    ) {
        let answered: Completion = { result in
            var redirects = redirects
            switch self.next(&redirects, after: [result], to: [command], from: node) {
            case .node(let node, let asks): self.submit(command, to: node, asks: asks, redirects: redirects, completion: completion)
            case .answer: completion(result)
            case .failure(let error): completion(.failure(error))
            }
        }
        let connection = node.connection(lane)
        if asks { connection.submit(asking: command, completion: answered) } else { connection.submit(command, completion: answered) }
    }

    // MARK: Redirections

    private enum Next {
        /// The commands go to this node next.
        case node(ClusterNode, asks: Bool)
        /// The caller receives the results.
        case answer
        /// The caller receives this error instead of the results.
        case failure(RedisError)
    }

    private func next(
        _ redirects: inout ClusterRedirects, after results: [Result<RedisReply, RedisError>], to commands: [RedisCommand],
        from node: ClusterNode
    ) -> Next {
        switch redirects.next(after: results, to: commands, asked: node.address) {
        case .move(let slot, let address): return .node(topology.moved(slot, to: address), asks: false)
        case .ask(let address): return .node(topology.node(at: address), asks: true)
        case .wait(let mayHaveBeenApplied):
            notice(results)
            return .failure(.apart(mayHaveBeenApplied: mayHaveBeenApplied))
        case .giveUp:
            notice(results)
            return .answer
        }
    }

    private func notice(_ results: [Result<RedisReply, RedisError>]) {
        for case .failure(let error) in results { topology.noticed(error) }
    }
}
