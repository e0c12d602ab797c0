import RedisClient

extension RedisSessionStore {
    /// For how many leases a step that two replicas were lost with waits for its third attempt.
    private static let quarantine = 4

    /// Decides whether a step that two replicas were lost with may run once more. A step that ends
    /// every replica thus costs two of them, and never two at once.
    ///
    /// - If one of the two lives, it was only silent for a while: the step runs.
    /// - If both are gone and both had asked the model, the completion may be the cause: the step
    ///   fails.
    /// - Otherwise, if both are gone, the step runs after four leases, one such step of the
    ///   deployment at a time.
    ///
    /// - Returns: Nil if that is not known yet, or while another such step runs.
    func verdict(on suspect: SuspectStep, of session: SessionID) async throws(StoreError) -> SuspectStep.Verdict? {
        let losses = suspect.losses.suffix(2)
        // An earlier build does not record its process, and cannot be judged.
        guard losses.count == 2, losses.allSatisfy({ $0.instance != nil }) else { return .run }
        var silences: [String: Int64] = [:]
        for replica in try await replicas() { silences[replica.entry.instance] = replica.silence }
        let silence = losses.map { $0.instance.flatMap { silences[$0] } }
        if silence.contains(where: { $0.map { $0 < leaseMilliseconds } ?? false }) { return .run }
        // A replica is silent, but not for long enough to count as gone.
        if silence.contains(where: { $0 != nil }) { return nil }
        if losses.allSatisfy(\.hadAsked) { return .fail }
        guard suspect.lapsed >= configuration.lease * Self.quarantine else { return nil }
        return try await claimQuarantine(session, step: suspect.step) ? .run : nil
    }

    /// Takes the only slot for such a step, unless another step has it: the script `claim_place`. A
    /// slot that is not renewed becomes free on its own.
    func claimQuarantine(_ session: SessionID, step: Int) async throws(StoreError) -> Bool {
        let claim = PlaceClaim(holder: session.name, duration: leaseMilliseconds * Int64(Self.quarantine))
        let call = StoreScripts.claimPlace.call(claim, on: keyspace.suspects)
        let reply = try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            try await self.client.route(for: keyspace.suspects).evaluate(call)
        }
        return reply[0]?.integer == 1
    }
}
