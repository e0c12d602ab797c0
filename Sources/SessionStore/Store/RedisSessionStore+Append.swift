public import RedisClient

extension RedisSessionStore {
    /// Adds a batch to the log and extends the lease: the script `append_events`. An empty batch only renews.
    ///
    /// - Parameters:
    ///   - renews: False leaves the lease as it is, which costs Redis half as much: the script `log_events`. Batches that it cannot take renew
    ///     nevertheless.
    ///   - completion: Called on the connection's event loop with the answer, and whether the lease was extended. A failure with
    ///     `.outcomeUnknown` is safe to send again.
    public func append(
        _ events: LoggedEvents,
        lease: StepLease,
        renews: Bool = true,
        on route: RedisRoute,
        completion: @escaping @Sendable (Result<LeaseAnswer, StoreError>, _ hasRenewed: Bool) -> Void
    ) {
        guard !renews, canLogWithoutRenewal(events) else { return renew(events, lease: lease, on: route, completion: completion) }
        let keys = RedisKeys(lease.session)
        var call = RedisScriptCall(StoreScripts.logEvents, keys: keys, ["state", "events"], capacity: 256 + events.byteCount)
        call.append(lease.token.text)
        call.append("\(lease.step)-\(events.lastSequence)")
        call.append(publish)
        call.append(keys.prefix, "wake")
        call.append(integer: Int64(lease.step))
        call.append(events)
        route.submitEvaluate(call) { result in
            switch result {
            case .failure(let error):
                completion(.failure(StoreError(error, mayHaveBeenApplied: error.mayHaveBeenApplied)), false)
            case .success(let reply) where reply.integer == 1:
                completion(.success(.held), false)
            case .success:
                self.renew(events, lease: lease, on: route, completion: completion)
            }
        }
    }

    /// Lua's bound on a script's values, with room.
    private static let logEventsLimit = 3000

    /// An expiry that is hardly longer than a lease has to move with every batch.
    private func canLogWithoutRenewal(_ events: LoggedEvents) -> Bool {
        let isLasting = configuration.sessionTTL.map { $0 >= configuration.lease * 2 } ?? true
        return isLasting && !events.isEmpty && events.count <= Self.logEventsLimit
    }

    private func renew(
        _ events: LoggedEvents, lease: StepLease, asking: Bool = false, on route: RedisRoute,
        completion: @escaping @Sendable (Result<LeaseAnswer, StoreError>, _ hasRenewed: Bool) -> Void
    ) {
        let keys = RedisKeys(lease.session)
        var call = RedisScriptCall(StoreScripts.appendEvents, keys: keys, capacity: 512 + events.byteCount)
        call.append(lease.token.text)
        call.append(integer: Int64(lease.step))
        call.append(integer: Int64(events.lastSequence))
        call.append(integer: leaseMilliseconds)
        call.append(integer: ttlMilliseconds)
        call.append(publish)
        call.append(keys.prefix, "wake")
        call.append(asking ? configuration.instance : "")
        call.append(events)
        let sent = ContinuousClock.now
        route.submitEvaluate(call) { result in
            switch result {
            case .failure(let error):
                self.refused(error, key: keys.prefix)
                completion(.failure(StoreError(error, mayHaveBeenApplied: error.mayHaveBeenApplied)), false)
            case .success(let reply):
                self.heard(reply[1]?.integer, of: keys.prefix, sent: sent)
                switch reply[0]?.string {
                case "written": completion(.success(.held), true)
                case "lost": completion(.success(.lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")), false)
                default: completion(.failure(.unexpected(reply)), false)
                }
            }
        }
    }

    /// Notes that the owner is about to ask the model, and renews the lease. Where the history came with the lease, the script
    /// that gave it has noted that.
    ///
    /// Nothing depends on its success but how a step is judged with which two replicas are lost.
    public func noteAsking(_ lease: StepLease) async {
        await withCheckedContinuation { continuation in
            renew(LoggedEvents(firstSequence: 1), lease: lease, asking: true, on: route(for: lease.session)) { _, _ in
                continuation.resume()
            }
        }
    }

    /// The way of a step's appends.
    public func route(for session: SessionID) -> RedisRoute {
        client.route(for: RedisKeys(session).prefix)
    }

    /// Moves the sweeper's hint for a running step along.
    ///
    /// - Parameter route: Of the session's other commands: taken where it leads to the hint, too.
    public func moveHint(_ session: SessionID, on route: RedisRoute) {
        let keys = RedisKeys(session)
        guard let now = time(of: keys.prefix) else { return }
        let key = keys.running
        var hint = RedisCommand("ZADD", key, "GT")
        hint.append(integer: now + leaseMilliseconds + configuration.hintMargin.milliseconds)
        hint.append(session.text)
        (client.isOneServer ? route : client.route(for: key)).submit(hint) { _ in }
    }
}
