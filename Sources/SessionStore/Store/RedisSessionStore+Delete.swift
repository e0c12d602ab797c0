import RedisClient

/// What tells a session from another one of the same name.
struct SessionOrigin: Sendable, Equatable {
    /// Empty for a session that has none.
    var epoch = ""
    /// The owner, as the state has it; empty for none.
    var subject = ""
    /// Milliseconds since 1970 on Redis's clock; 0 if an early build made the session.
    var createdAt: Int64 = 0
}

extension RedisSessionStore {
    /// Removes a session with all its keys: the script `delete_session`. A session that begins
    /// under the same name after this call has read the epoch is another session; it stays, however
    /// often the script is sent.
    ///
    /// - Returns: Whether the session existed, as far as the requester may know.
    public func delete(_ session: SessionID, as requester: Requester) async throws(StoreError) -> Bool {
        var origin = SessionOrigin()
        do throws(StoreError) {
            origin = try await self.origin(of: session)
        } catch {
            // A state of another type has none: the session can then only be removed.
            guard error.code == .damaged else { throw error }
        }
        return try await delete(session, of: origin, as: requester)
    }

    func origin(of session: SessionID) async throws(StoreError) -> SessionOrigin {
        let key = keys(session).state
        let reply = try await read(RedisCommand("HMGET", key, "epoch", "subject", "created_at"), key: key)
        return SessionOrigin(
            epoch: reply[0]?.string ?? "", subject: reply[1]?.string ?? "", createdAt: reply[2]?.integerValue ?? 0)
    }

    /// Removes a session unless another one has its name by now.
    func delete(
        _ session: SessionID, of origin: SessionOrigin, as requester: Requester
    ) async throws(StoreError) -> Bool {
        let keys = keys(session)
        let call = StoreScripts.deleteSession.call(
            DeleteSessionCall(store: self, keys: keys, requester: requester, epoch: origin.epoch), on: keys)
        var attempts = 0
        let reply = try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            attempts += 1
            return try await self.client.route(for: keys.prefix).evaluate(call)
        }
        if reply[0]?.string == "newer" { throw .newerLayout(reply[2]?.intValue ?? 0) }
        guard requester.reaches(session, ownedBy: origin.subject) else { return false }
        activity.forget(session)
        // A session that has begun again since then stays in the index.
        if let now = reply[1]?.integer {
            try await forget([ListedSession(member: IndexMember(session, subject: origin.subject), lastActivity: now)])
        }
        // A repeated call follows a lost reply: that reply may have said that the session existed.
        return reply[0]?.integer == 1 || attempts > 1
    }
}
