import RedisClient

extension RedisSessionStore {
    /// Returns what a session's state says of its latest step, in one round trip. For a session
    /// that the requester may not see, it returns what it returns for one that does not exist.
    package func look(_ session: SessionID, as requester: Requester) async throws(StoreError) -> StepView {
        let sent = ContinuousClock.now
        let view = try view(try await read(lookCommands(session), key: keys(session).state), of: session, sent: sent)
        return requester.reaches(session, ownedBy: view.subject) ? view : .absent(now: view.now)
    }

    /// Reads the latest steps of many sessions at once.
    ///
    /// - Returns: In the order of `sessions`; nil for a session that is damaged.
    func look(_ sessions: [SessionID]) async throws(StoreError) -> [StepView?] {
        var views: [StepView?] = []
        let sent = ContinuousClock.now
        let results = await sendEach(sessions.map { (keys($0).state, lookCommands($0)) })
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
        // The time comes first: a step that is found not to run did not run at that time, or has
        // ended since.
        [
            RedisCommand("TIME"),
            RedisCommand(
                "HMGET", keys(session).state, "status", "fence", "lease_until", "intent", "replaces", "origin", "subject",
                "updated_at"),
        ]
    }

    /// Records the time that came with the state, before the caller acts on the rest.
    private func view(
        _ reply: [RedisReply], of session: SessionID, sent: ContinuousClock.Instant
    ) throws(StoreError) -> StepView {
        heard(reply.first?.time, of: keys(session).prefix, sent: sent)
        return try view(reply)
    }

    /// Reads the replies to ``lookCommands(_:)``.
    func view(_ reply: [RedisReply]) throws(StoreError) -> StepView {
        guard reply.count == 2, let now = reply[0].time else {
            throw StoreError(.unexpectedReply, "unexpected reply from Redis to a look at a session")
        }
        let state = reply[1]
        let step = Int(try state[1].number(in: "fence"))
        let replaces = Int(try state[4].number(in: "replaces"))
        let origin = Int(try state[5].number(in: "origin"))
        // The fields stay when the next step begins. They belong to the latest step only if they
        // directly precede it.
        let isReplacing = replaces > 0 && replaces == step - 1
        return StepView(
            status: state[0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
            step: step,
            leaseUntil: try state[2].number(in: "lease_until"),
            now: now,
            isBeingCancelled: state[3]?.string == TakeOverCall.cancelIntent,
            replaces: isReplacing ? replaces : 0,
            origin: !isReplacing ? step : origin > 0 ? origin : replaces,
            subject: state[6]?.string ?? "",
            updatedAt: try state[7].number(in: "updated_at")
        )
    }
}
