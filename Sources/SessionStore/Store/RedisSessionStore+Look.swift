extension RedisSessionStore {
    /// What a session's state says of its latest step: one round trip.
    public func look(_ session: SessionID) async throws(StoreError) -> StepView {
        let sent = ContinuousClock.now
        return try view(try await read(lookCommands(session), key: RedisKeys(session).state), of: session, sent: sent)
    }

    /// Looks at many sessions at once; answers in their order, nil for one that is damaged.
    func look(_ sessions: [SessionID]) async throws(StoreError) -> [StepView?] {
        var views: [StepView?] = []
        let sent = ContinuousClock.now
        let results = await sendEach(sessions.map { (RedisKeys($0).state, lookCommands($0)) })
        for (session, result) in zip(sessions, results) {
            do throws(StoreError) {
                views.append(try view(try result.get(), of: session, sent: sent))
            } catch {
                guard error.code == .damaged else { throw error }
                views.append(nil)
            }
        }
        return views
    }

    private func lookCommands(_ session: SessionID) -> [RedisCommand] {
        // The time comes first: what is found not to run did not run at that time, or has ended since.
        [
            RedisCommand("TIME"),
            RedisCommand("HMGET", RedisKeys(session).state, "status", "fence", "lease_until", "intent", "replaces", "origin"),
        ]
    }

    private func view(
        _ reply: [RedisReply], of session: SessionID, sent: ContinuousClock.Instant
    ) throws(StoreError) -> StepView {
        guard reply.count == 2, let now = reply[0].time else {
            throw StoreError(.unexpectedReply, "unexpected reply from Redis to a look at a session")
        }
        let state = reply[1]
        heard(now, of: RedisKeys(session).prefix, sent: sent)
        let step = state[1]?.intValue ?? 0
        let replaces = state[4]?.intValue ?? 0
        // The fields stay when the next step begins; they are that one's only where it directly follows.
        let isReplacing = replaces > 0 && replaces == step - 1
        return StepView(
            status: state[0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
            step: step,
            leaseUntil: state[2]?.integerValue ?? 0,
            now: now,
            isBeingCancelled: state[3]?.string == Self.cancelIntent,
            replaces: isReplacing ? replaces : 0,
            origin: isReplacing ? state[5]?.intValue ?? replaces : step
        )
    }
}
