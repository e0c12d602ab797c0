import RedisClient

extension RedisSessionStore {
    /// Ends a step: the script `commit_step`.
    ///
    /// No append of the same step may be under way. Tried until it is known to be done, for ``StoreConfiguration/commitPatience``.
    ///
    /// - Throws: ``StoreError`` when its fate cannot be learned; a later call with the same lease is still safe.
    public func commit(_ commit: StepCommit) async throws(StoreError) -> LeaseAnswer {
        let keys = RedisKeys(commit.lease.session)
        var call = RedisScriptCall(StoreScripts.commitStep, keys: keys, capacity: 1024 + commit.events.byteCount)
        call.append(commit.lease.token.text)
        call.append(integer: Int64(commit.lease.step))
        call.append(integer: ttlMilliseconds)
        call.append(publish)
        call.append(keys.prefix, "wake")
        call.append(integer: Int64(commit.promptTokens))
        call.append(integer: Int64(commit.completionTokens))
        call.append(commit.journalLine)
        call.append(integer: Int64(configuration.journalBound))
        call.append(integer: Int64(commit.events.lastSequence))
        call.append(integer: Int64(commit.messages.count))
        call.append(integer: Int64(commit.calls.count))
        call.append(commit.lastRole?.rawValue ?? "")
        call.append(commit.isRejected ? "1" : "0")
        call.append(integer: Int64(commit.reasoning.count))
        call.append(commit.finishReason ?? "")
        for message in commit.messages { call.append(message) }
        for pending in commit.calls {
            call.append(pending.id)
            call.append(pending.toolName)
            call.append(pending.json)
        }
        for reasoning in commit.reasoning {
            call.append(integer: Int64(reasoning.message))
            call.append(reasoning.json)
        }
        call.append(commit.events)
        let sent = ContinuousClock.now
        // Replicas that are late are waited for again: the commit stays, and says that it was made already.
        let reply = try await attempt(for: configuration.commitPatience, persistent: true) { [call] () throws(RedisError) in
            guard let acknowledgement = self.configuration.acknowledgement else {
                return try await self.client.route(for: keys.prefix).evaluate(call)
            }
            let route = self.client.route(for: keys.prefix, over: .acknowledging)
            return try acknowledgement.checked(try await route.evaluate(call, following: [acknowledgement.command]))
        }
        heard(reply[1]?.integer, of: keys.prefix, sent: sent)
        switch reply[0]?.string {
        case "committed", "already":
            if let now = reply[1]?.integer { activity.note(commit.lease.session, at: now) }
            return .held
        case "lost": return .lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")
        default: throw .unexpected(reply)
        }
    }

    /// Gives a step back so that another replica can take it at once: the script `release_step`. Sweepers are told to look now.
    public func release(_ lease: StepLease) async throws(StoreError) -> LeaseAnswer {
        let keys = RedisKeys(lease.session)
        var call = RedisScriptCall(StoreScripts.releaseStep, keys: keys)
        call.append(lease.token.text)
        call.append(publish)
        call.append(keys.prefix, "wake")
        let reply = try await attempt(for: configuration.lease, persistent: true) { [call] () throws(RedisError) in
            try await self.client.route(for: keys.prefix).evaluate(call)
        }
        switch reply[0]?.string {
        case "released":
            var hint = RedisCommand("ZADD", keys.running)
            hint.append(integer: reply[1]?.integer ?? 0)
            hint.append(lease.session.text)
            // Without it the sweepers look when the lease would have run out.
            _ = try? await read(hint, key: keys.running)
            return .held
        case "lost": return .lost(step: reply[2]?.intValue ?? 0, intent: reply[3]?.string ?? "")
        default: throw .unexpected(reply)
        }
    }
}

extension RedisScriptCall {
    mutating func append(_ events: LoggedEvents) {
        events.forEach { field, value in
            append(field.rawValue)
            append(value)
        }
    }
}
