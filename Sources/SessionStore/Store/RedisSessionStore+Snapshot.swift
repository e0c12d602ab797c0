import RedisClient
import Synchronization

extension RedisSessionStore {
    /// Reads state, history's length, open calls and time as of one instant, over the connections
    /// for large replies: tools and arguments may be large.
    ///
    /// - Returns: These four, in this order.
    func snapshot(_ keys: RedisKeys) async throws(StoreError) -> RedisReply {
        let reply: RedisReply
        do throws(StoreError) {
            reply = try await attempt(for: configuration.retryPatience, over: .bulk) { () throws(RedisError) in
                let route = self.client.route(for: keys.state, over: .bulk)
                guard self.takesTransactions.load(ordering: .relaxed) else { return try await route.evaluate(self.readState(keys)) }
                do throws(RedisError) {
                    return try await self.transaction(keys, over: route)
                } catch {
                    guard error.refusesTransaction else { throw error }
                    let reply = try await route.evaluate(self.readState(keys))
                    // A service that does not know the command never will. A full Redis accepts it
                    // again later.
                    if error.code != .outOfMemory { self.takesTransactions.store(false, ordering: .relaxed) }
                    return reply
                }
            }
        } catch {
            guard error.code == .outcomeUnknown else { throw error }
            throw StoreError(Task.isCancelled ? .cancelled : .unavailable, error.message)
        }
        // A command that fails does not fail its transaction or script.
        for index in 0..<reply.count {
            guard let text = reply[index]?.errorMessage else { continue }
            let error = RedisError(reply: text)
            throw StoreError(error.code == .wrongType ? .damaged : .unavailable, error.message)
        }
        return reply
    }

    /// Returns the reply to `EXEC`.
    private func transaction(_ keys: RedisKeys, over route: RedisRoute) async throws(RedisError) -> RedisReply {
        let results = try await route.send(pipeline: [
            RedisCommand("MULTI"), RedisCommand("HGETALL", keys.state), RedisCommand("LLEN", keys.history),
            RedisCommand("HGETALL", keys.pending), RedisCommand("TIME"), RedisCommand("EXEC"),
        ])
        for case .failure(let error) in results {
            refused(error, key: keys.state)
            throw error
        }
        guard let last = results.last else { throw RedisError.neverSent }
        return try last.get()
    }

    private func readState(_ keys: RedisKeys) -> RedisScriptCall {
        StoreScripts.readState.call((), on: keys)
    }
}

extension RedisError {
    /// Whether Redis replied that it does not accept such a transaction.
    fileprivate var refusesTransaction: Bool {
        switch code {
        case .reply, .notPermitted, .outOfMemory: true
        default: false
        }
    }
}
