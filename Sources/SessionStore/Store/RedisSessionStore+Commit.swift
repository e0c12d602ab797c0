import RedisClient

extension RedisSessionStore {
    /// Ends a step: the script `commit_step`.
    ///
    /// No append of the same step may be in flight. The store repeats the call until its outcome is
    /// known, for ``StoreConfiguration/commitPatience``.
    ///
    /// - Throws: ``StoreError`` if the outcome stays unknown; a later call with the same lease is
    ///   still safe.
    public func commit(_ commit: StepCommit) async throws(StoreError) -> LeaseAnswer {
        let keys = keys(commit.lease.session)
        let call = StoreScripts.commitStep.call(
            CommitStepCall(store: self, keys: keys, commit: commit), on: keys, capacity: 1024 + commit.events.byteCount)
        let sent = ContinuousClock.now
        // If Redis's replicas are late, the call is sent again: the commit stays, Redis replies
        // that it was made, and `WAIT` runs once more.
        let reply = try await attempt(for: configuration.commitPatience, persistent: true) { () throws(RedisError) in
            guard let acknowledgement = self.configuration.acknowledgement else {
                return try await self.client.route(for: keys.prefix).evaluate(call)
            }
            let route = self.client.route(for: keys.prefix, over: .acknowledging)
            return try acknowledgement.checked(try await route.evaluate(call, following: [acknowledgement.command]))
        }
        heard(reply[1]?.integer, of: keys.prefix, sent: sent)
        switch reply[0]?.string {
        case "committed", "already":
            if let now = reply[1]?.integer { activity.note(commit.lease.session, of: commit.lease.subject, at: now) }
            return .held
        case "lost": return .lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")
        default: throw .unexpected(reply)
        }
    }

    /// Releases a step so that another replica can take it at once: the script `release_step`. Its
    /// hint is then due now.
    public func release(_ lease: StepLease) async throws(StoreError) -> LeaseAnswer {
        let keys = keys(lease.session)
        let call = StoreScripts.releaseStep.call(ReleaseStepCall(store: self, keys: keys, token: lease.token), on: keys)
        let reply = try await attempt(for: configuration.lease, persistent: true) { () throws(RedisError) in
            try await self.client.route(for: keys.prefix).evaluate(call)
        }
        switch reply[0]?.string {
        case "released":
            var hint = RedisCommand("ZADD", keys.running)
            hint.append(integer: reply[1]?.integer ?? 0)
            hint.append(lease.session.name)
            // Without the hint, sweepers read the session when the lease would have run out.
            _ = try? await read(hint, key: keys.running)
            return .held
        case "lost": return .lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")
        default: throw .unexpected(reply)
        }
    }
}
