public import RedisClient

extension RedisSessionStore {
    /// Appends a batch to the log and extends the lease: the script `append_events`. An empty batch
    /// only renews.
    ///
    /// - Parameters:
    ///   - events: The batch. Its first sequence number follows the last one of the log.
    ///   - lease: The lease of the step.
    ///   - renews: If false, the lease stays as it is, which costs Redis half as much: the script
    ///     `log_events`. Batches that `log_events` cannot write renew all the same.
    ///   - route: The route of the session; see ``route(for:)``.
    ///   - completion: Called on the connection's event loop with the outcome, and whether the
    ///     lease was extended. After a failure with `.outcomeUnknown` the same batch is safe to
    ///     send again.
    public func append(
        _ events: LoggedEvents,
        lease: StepLease,
        renews: Bool = true,
        on route: RedisRoute,
        completion: @escaping @Sendable (Result<LeaseAnswer, StoreError>, _ hasRenewed: Bool) -> Void
    ) {
        guard !renews, canLogWithoutRenewal(events) else { return renew(events, lease: lease, on: route, completion: completion) }
        let keys = keys(lease.session)
        let call = StoreScripts.logEvents.call(
            AppendEventsCall(store: self, keys: keys, lease: lease, events: events), on: keys, capacity: 256 + events.byteCount)
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

    /// Lua's bound on the arguments of one call, with a margin.
    private static let logEventsLimit = 3000

    /// Whether `log_events` can write the batch. If sessions expire hardly later than leases, every
    /// batch must move the expiry.
    private func canLogWithoutRenewal(_ events: LoggedEvents) -> Bool {
        let isLasting = configuration.sessionTTL.map { $0 >= configuration.lease * 2 } ?? true
        return isLasting && !events.isEmpty && events.count <= Self.logEventsLimit
    }

    private func renew(
        _ events: LoggedEvents, lease: StepLease, asking: Bool = false, on route: RedisRoute,
        completion: @escaping @Sendable (Result<LeaseAnswer, StoreError>, _ hasRenewed: Bool) -> Void
    ) {
        let keys = keys(lease.session)
        let call = StoreScripts.appendEvents.call(
            AppendEventsCall(store: self, keys: keys, lease: lease, events: events, isAsking: asking), on: keys,
            capacity: 512 + events.byteCount)
        let sent = ContinuousClock.now
        // First: a slot that is free while its lease lives would let a step too many begin.
        renewSlot(of: lease, on: route)
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

    /// Records that the owner is about to ask the model, and renews the lease. If the history came
    /// with the lease, the script that gave it has recorded that.
    ///
    /// Only one decision depends on it: how a step is judged that two replicas were lost with.
    package func noteAsking(_ lease: StepLease) async {
        await withCheckedContinuation { continuation in
            renew(LoggedEvents(firstSequence: 1), lease: lease, asking: true, on: route(for: lease.session)) { _, _ in
                continuation.resume()
            }
        }
    }

    /// Returns the route of a step's appends.
    public func route(for session: SessionID) -> RedisRoute {
        client.route(for: keys(session).prefix)
    }

    /// Moves the sweeper's hint for a running step to a lease from now.
    ///
    /// - Parameter route: Of the session's other commands. The hint goes over it if it leads to the
    ///   hint's key.
    package func moveHint(_ session: SessionID, on route: RedisRoute) {
        let keys = keys(session)
        guard let now = time(of: keys.prefix) else { return }
        let key = keys.running
        var hint = RedisCommand("ZADD", key, "GT")
        hint.append(integer: now + leaseMilliseconds + configuration.hintMargin.milliseconds)
        hint.append(session.name)
        (client.isOneServer ? route : client.route(for: key)).submit(hint) { _ in }
    }
}
