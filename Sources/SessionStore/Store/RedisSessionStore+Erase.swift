import Logging
import RedisClient

extension RedisSessionStore {
    /// Jobs that one poll takes.
    private static let mostErasures = 8
    private static let erasurePage = 128

    /// How long after the request a second pass follows. By then every replica has written the
    /// records that it held of the user's sessions, and sweepers have looked at the hints of all.
    private var erasureSettling: Int64 { 2 * leaseMilliseconds + 5000 }
    /// For how long a replica has a job to itself. If the replica is lost, another one takes the job
    /// after that time.
    private var erasureClaim: Int64 { 4 * leaseMilliseconds + 10_000 }

    /// Records that all sessions that a user has now are to be erased. Sweepers of any replica do
    /// that, and repeat it a few seconds later; ``isErasing(_:in:)`` tells when they have ended.
    ///
    /// A step that runs is ended without a trace. The call is safe to repeat.
    ///
    /// - Throws: ``StoreError``; with `.olderLayout` no session has an owner yet.
    public func erase(_ subject: Subject, in tenant: TenantID) async throws(StoreError) {
        guard layout.current >= RedisLayout.owners else { throw .olderLayout(layout.current) }
        let key = keyspace.erasures
        let now = try await time(key)
        let job = Erasure(subject, in: tenant, requested: now)
        _ = try await read(RedisCommand("ZADD", key, "NX", "\(now)", job.text), key: key)
        // This job does what earlier ones would do.
        for earlier in try await erasures() where earlier.isOf(job) && earlier.requested < now {
            _ = try await read(RedisCommand("ZREM", key, earlier.text), key: key)
        }
    }

    /// Returns whether an erasure of a user's sessions has not ended.
    public func isErasing(_ subject: Subject, in tenant: TenantID) async throws(StoreError) -> Bool {
        let wanted = Erasure(subject, in: tenant, requested: 0)
        return try await erasures().contains { $0.isOf(wanted) }
    }

    private func erasures() async throws(StoreError) -> [Erasure] {
        let key = keyspace.erasures
        return try await read(RedisCommand("ZRANGEBYSCORE", key, "-inf", "+inf"), key: key).strings(from: 0).compactMap { Erasure($0) }
    }

    /// Erases what is due. To be called at each sweep; without a job it costs one command.
    package func performErasures() async throws(StoreError) {
        let key = keyspace.erasures
        let now = try await now(of: key)
        let due = try await read(
            RedisCommand("ZRANGEBYSCORE", key, "-inf", "\(now)", "LIMIT", "0", "\(Self.mostErasures)"), key: key)
        for text in due.strings(from: 0) {
            guard let job = Erasure(text) else {
                _ = try await read(RedisCommand("ZREM", key, text), key: key)
                continue
            }
            // Two replicas that poll at the same moment both erase, which does no harm.
            _ = try await read(RedisCommand("ZADD", key, "XX", "\(now + erasureClaim)", text), key: key)
            let isLastPass = now >= job.requested + erasureSettling
            guard try await perform(job) else {
                // The next poll goes on: sweepers also look for lost steps.
                _ = try await read(RedisCommand("ZADD", key, "XX", "\(now)", text), key: key)
                return
            }
            let end =
                isLastPass
                ? RedisCommand("ZREM", key, text) : RedisCommand("ZADD", key, "XX", "\(job.requested + erasureSettling)", text)
            _ = try await read(end, key: key)
        }
    }

    /// Erases for a third of a lease at most.
    ///
    /// - Returns: Whether the whole list was read.
    private func perform(_ job: Erasure) async throws(StoreError) -> Bool {
        let deadline = ContinuousClock.now + configuration.lease / 3
        let list = keyspace.sessions(ofEncoded: job.subject, in: job.tenant)
        var (staying, erased) = (0, 0)
        while true {
            let page = try await activities(list, from: "-inf", to: "+inf", skip: staying, limit: Self.erasurePage)
            for entry in page {
                guard ContinuousClock.now < deadline else { return false }
                // The member of a user's list does not repeat the user.
                let entry = ListedSession(
                    member: IndexMember(entry.session, encodedOwner: job.subject), lastActivity: entry.lastActivity)
                if try await erase(entry, for: job) { erased += 1 } else { staying += 1 }
            }
            try await forgetSuspects(page.map(\.session))
            if page.count < Self.erasurePage { break }
        }
        // What the user does now counts anew.
        if let account = Account(text: "\(job.tenant.text)/\(job.subject)", limits: .none) { try await forget(account) }
        logger.notice("a user's sessions were erased", metadata: ["tenant": "\(job.tenant)", "sessions": "\(erased)"])
        return true
    }

    /// - Returns: Whether the entry of the user's list is gone. It stays if the session began after
    ///   the request.
    private func erase(_ entry: ListedSession, for job: Erasure) async throws(StoreError) -> Bool {
        let session = entry.session
        var origin = SessionOrigin()
        do throws(StoreError) {
            origin = try await self.origin(of: session)
        } catch {
            guard error.code == .damaged else { throw error }
            // The user's list is the only evidence that is left.
            _ = try await delete(session, of: origin, as: .tenant)
            try await forget([entry])
            return true
        }
        guard origin.createdAt <= job.requested else { return false }
        // Otherwise the session is gone, or another one has its name.
        if Account.encoded(origin.subject) == job.subject, let subject = Subject(origin.subject) {
            _ = try await delete(session, of: origin, as: .subject(subject))
        }
        try await forget([entry])
        return true
    }

    private func forgetSuspects(_ sessions: [SessionID]) async throws(StoreError) {
        guard !sessions.isEmpty else { return }
        var command = RedisCommand("ZREM", keyspace.suspects)
        command.append(contentsOf: sessions.map(\.name))
        _ = try await read(command, key: keyspace.suspects)
    }
}
