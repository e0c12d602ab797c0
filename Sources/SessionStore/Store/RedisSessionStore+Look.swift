extension RedisSessionStore {
    /// What a session's state says of its latest step: one round trip.
    public func look(_ session: SessionID) async throws(StoreError) -> StepView {
        guard let view = try await look([session]).first else { throw StoreError(.unexpectedReply, "no reply to a look") }
        return view
    }

    /// Looks at many sessions at once; answers in their order.
    func look(_ sessions: [SessionID]) async throws(StoreError) -> [StepView] {
        // The time comes first: what is found not to run did not run at that time, or has ended since.
        let replies = try await sendEach(
            sessions.map { session in
                let state = RedisKeys(session).state
                let fields = RedisCommand("HMGET", state, "status", "fence", "lease_until", "intent", "replaces")
                return (state, [RedisCommand("TIME"), fields])
            })
        var views: [StepView] = []
        for reply in replies {
            guard reply.count == 2, let seconds = reply[0][0]?.integerValue, let microseconds = reply[0][1]?.integerValue else {
                throw StoreError(.unexpectedReply, "unexpected reply from Redis to a look at a session")
            }
            let (now, state) = (seconds * 1000 + microseconds / 1000, reply[1])
            clock.correct(now)
            let step = state[1]?.intValue ?? 0
            let replaces = state[4]?.intValue ?? 0
            views.append(
                StepView(
                    status: state[0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
                    step: step,
                    leaseUntil: state[2]?.integerValue ?? 0,
                    now: now,
                    isBeingCancelled: state[3]?.string == Self.cancelIntent,
                    // The field stays when the next step begins; it is that one's only where it directly follows.
                    replaces: replaces == step - 1 ? replaces : 0
                ))
        }
        return views
    }
}
