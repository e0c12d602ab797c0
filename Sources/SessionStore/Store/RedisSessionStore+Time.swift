import RedisClient

extension RedisSessionStore {
    /// Asks each server that takes writes for its time, so that its silence is noticed. Nobody waits for the answers; those that do not come are
    /// given up with their connections.
    ///
    /// To be called each ``beatPeriod``.
    public func beat() {
        for connection in client.masters() {
            let sent = ContinuousClock.now
            connection.submit(RedisCommand("TIME")) { [outage] result in
                guard case .success(let reply) = result, let time = reply.time else { return }
                outage.heard(time, from: connection.address, sent: sent)
            }
        }
    }

    /// Several times within the silence that is borne, so that a beat that is late is no outage.
    public var beatPeriod: Duration { min(max(configuration.lease / 12, .milliseconds(10)), .milliseconds(400)) }

    /// Takes in Redis's time from a reply, before anybody acts on what else it says.
    ///
    /// - Parameter key: What was asked for, or what it begins with, the hash tag included.
    func heard(_ time: Int64?, of key: String, sent: ContinuousClock.Instant) {
        guard let time else { return }
        outage.heard(time, from: client.location(of: key).node, sent: sent)
    }

    /// A command was refused: perhaps because Redis does not serve at the moment.
    ///
    /// - Returns: Whether it is so.
    @discardableResult
    func refused(_ error: RedisError, key: String) -> Bool { outage.refused(error, at: client.location(of: key)) }

    /// Redis's time in ms where the key is; nil before its first answer.
    func time(of key: String) -> Int64? { outage.time(of: client.location(of: key).node) }

    /// The same; asks for it when it is not known yet.
    func now(of key: String = "") async throws(StoreError) -> Int64 {
        if let now = time(of: key) { return now }
        let sent = ContinuousClock.now
        let reply = try await read(RedisCommand("TIME"), key: key)
        guard let time = reply.time else { throw .unexpected(reply) }
        heard(time, of: key, sent: sent)
        return time
    }
}
