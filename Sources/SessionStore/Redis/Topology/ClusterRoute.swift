/// The way of one slot's commands: follows redirections, and has the topology learn from them.
struct ClusterRoute: Sendable {
    typealias Completion = @Sendable (Result<RedisReply, RedisError>) -> Void

    let topology: ClusterTopology
    let slot: Int
    /// Which of a node's connections the commands go over.
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
            guard let next = next(&redirects, after: results, from: node) else { return results }
            (node, asks) = next
        }
    }

    /// Calls a script with `following` commands in the same write; by its source where the node does not have it.
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
            guard let (node, asks) = self.next(&redirects, after: [result], from: node) else { return completion(result) }
            self.submit(command, to: node, asks: asks, redirects: redirects, completion: completion)
        }
        let connection = node.connection(lane)
        if asks { connection.submit(asking: command, completion: answered) } else { connection.submit(command, completion: answered) }
    }

    // MARK: Redirections

    /// Where the commands go next; nil when the results are the caller's.
    private func next(
        _ redirects: inout ClusterRedirects, after results: [Result<RedisReply, RedisError>], from node: ClusterNode
    ) -> (ClusterNode, asks: Bool)? {
        guard let error = ClusterRedirects.redirection(in: results) else {
            for case .failure(let error) in results { topology.noticed(error) }
            return nil
        }
        switch redirects.next(after: error, asked: node.address) {
        case .move(let slot, let address): return (topology.moved(slot, to: address), false)
        case .ask(let address): return (topology.node(at: address), true)
        case .giveUp:
            topology.noticed(error)
            return nil
        }
    }
}
