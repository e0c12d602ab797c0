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
        var uncounted = usageCounts(of: commit)
        if !client.isOneServer {
            await count(uncounted)
            uncounted = []
        }
        let sent = ContinuousClock.now
        // If Redis's replicas are late, the call is sent again: the commit stays, Redis replies
        // that it was made, and `WAIT` runs once more.
        let reply = try await attempt(for: configuration.commitPatience, persistent: true) { () throws(RedisError) in
            try await self.send(call, of: keys, counting: &uncounted)
        }
        await count(uncounted)
        heard(reply[1]?.integer, of: keys.prefix, sent: sent)
        switch reply[0]?.string {
        case "committed", "already":
            if let now = reply[1]?.integer { activity.note(commit.lease.session, of: commit.lease.subject, at: now) }
            // Not in the same write: if the lease is lost, the step goes on with its slot.
            if commit.isAwaited { await vacate(commit.lease) }
            settle(commit.lease, used: commit.hasUsage ? commit.promptTokens + commit.completionTokens : nil)
            return .held
        case "lost": return .lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")
        default: throw .unexpected(reply)
        }
    }

    /// Sends the call, and before it in the same write what counts the step: if the commit is known
    /// to be made, the step is counted.
    ///
    /// - Parameter counts: What is not counted yet.
    private func send(
        _ call: RedisScriptCall, of keys: RedisKeys, counting counts: inout [UsageCount]
    ) async throws(RedisError) -> RedisReply {
        let acknowledgement = configuration.acknowledgement
        let following = acknowledgement.map { [$0.command] } ?? []
        let route = client.route(for: keys.prefix, over: acknowledgement == nil ? .usual : .acknowledging)
        var results: [Result<RedisReply, RedisError>]
        if counts.isEmpty {
            results = try await route.evaluate(call, following: following)
        } else {
            let commands = counts.flatMap(\.commands)
            results = try await route.connection.evaluate(call, behind: commands, following: following)
            var counted = results.prefix(commands.count)
            results.removeFirst(min(commands.count, results.count))
            counts.removeAll { count in
                defer { counted = counted.dropFirst(count.commands.count) }
                return isCounted(count, counted.prefix(count.commands.count))
            }
        }
        if let acknowledgement { return try acknowledgement.checked(results) }
        guard let reply = results.first else { throw RedisError.neverSent }
        return try reply.get()
    }

    /// Releases a step so that another replica can take it at once: the script `release_step`. Its
    /// hint is then due now. The step keeps its slots for its next owner.
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
