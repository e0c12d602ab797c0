extension RedisSessionStore {
    /// Adds a batch to the log and extends the lease: the script `append_events`. An empty batch only renews.
    ///
    /// - Parameter completion: Called on the connection's event loop. A failure with `mayHaveBeenApplied` is safe to send again.
    public func append(
        _ events: LoggedEvents,
        lease: StepLease,
        on route: RedisRoute,
        completion: @escaping @Sendable (Result<LeaseAnswer, StoreError>) -> Void
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
        call.append(events)
        route.submitEvaluate(call) { [clock] result in
            switch result {
            case .failure(let error):
                completion(.failure(StoreError(error, mayHaveBeenApplied: error.mayHaveBeenApplied)))
            case .success(let reply):
                if let now = reply[1]?.integer { clock.correct(now) }
                switch reply[0]?.string {
                case "written": completion(.success(.held))
                case "lost": completion(.success(.lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")))
                default: completion(.failure(.unexpected(reply)))
                }
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
        guard let now = clock.now else { return }
        let key = RedisKeys(session).running
        var hint = RedisCommand("ZADD", key, "GT")
        hint.append(integer: now + leaseMilliseconds + configuration.hintMargin.milliseconds)
        hint.append(session.text)
        (client.isOneServer ? route : client.route(for: key)).submit(hint) { _ in }
    }
}
