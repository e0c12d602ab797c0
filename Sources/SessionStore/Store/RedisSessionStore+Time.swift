import RedisClient

extension RedisSessionStore {
    /// Asks each server that accepts writes for its time, so that its silence shows. The call does
    /// not wait for the replies; a reply that does not come ends its connection.
    ///
    /// To be called each ``beatPeriod``.
    package func beat() {
        for connection in client.masters() {
            let sent = ContinuousClock.now
            connection.submit(RedisCommand("TIME")) { [outage] result in
                guard case .success(let reply) = result, let time = reply.time else { return }
                outage.heard(time, from: connection.address, sent: sent)
            }
        }
    }

    /// The time between two beats: several fit into the silence that counts as none, so that a late
    /// beat is not an outage.
    package var beatPeriod: Duration { min(max(configuration.lease / 12, .milliseconds(10)), .milliseconds(400)) }

    /// Records Redis's time from a reply, before the caller acts on the rest of it.
    ///
    /// - Parameter key: The key of the command, or the start of it with the hash tag.
    func heard(_ time: Int64?, of key: String, sent: ContinuousClock.Instant) {
        guard let time else { return }
        outage.heard(time, from: client.location(of: key).node, sent: sent)
    }

    /// Records that a command was refused, perhaps because Redis does not serve at the moment.
    ///
    /// - Returns: Whether Redis does not serve.
    @discardableResult
    func refused(_ error: RedisError, key: String) -> Bool { outage.refused(error, at: client.location(of: key)) }

    /// Returns the time, in ms, of the server that has the key; nil before its first reply.
    func time(of key: String) -> Int64? { outage.time(of: client.location(of: key).node) }

    /// Returns the same time, and asks the server for it if it is not known yet.
    func now(of key: String = "") async throws(StoreError) -> Int64 {
        if let now = time(of: key) { return now }
        let sent = ContinuousClock.now
        let reply = try await read(RedisCommand("TIME"), key: key)
        guard let time = reply.time else { throw .unexpected(reply) }
        heard(time, of: key, sent: sent)
        return time
    }
}
