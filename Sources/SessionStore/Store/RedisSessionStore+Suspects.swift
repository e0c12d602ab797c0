import RedisClient

extension RedisSessionStore {
    /// How many leases a step that two replicas were lost with waits for its third attempt.
    private static let quarantine = 4

    /// Whether a step that two replicas were lost with may be run once more: one that ends every replica costs two of them, and
    /// never two at once.
    ///
    /// - If one of the two lives, it was only silent for a while: the step runs.
    /// - If both are gone and both had asked the model, what the model's server sends may be to blame: the step fails.
    /// - If both are gone otherwise, it runs after four leases, one such step of the deployment at a time.
    ///
    /// - Returns: Nil while that is not known, or another such step runs.
    func verdict(on suspect: SuspectStep, of session: SessionID) async throws(StoreError) -> SuspectStep.Verdict? {
        let losses = suspect.losses.suffix(2)
        // A build that says nothing of itself cannot be judged.
        guard losses.count == 2, losses.allSatisfy({ $0.instance != nil }) else { return .run }
        var silences: [String: Int64] = [:]
        for replica in try await replicas() { silences[replica.entry.instance] = replica.silence }
        let silence = losses.map { $0.instance.flatMap { silences[$0] } }
        if silence.contains(where: { $0.map { $0 < leaseMilliseconds } ?? false }) { return .run }
        // Silent, but not for long enough to be gone.
        if silence.contains(where: { $0 != nil }) { return nil }
        if losses.allSatisfy(\.hadAsked) { return .fail }
        guard suspect.lapsed >= configuration.lease * Self.quarantine else { return nil }
        return try await claimQuarantine(session, step: suspect.step) ? .run : nil
    }

    /// Takes the only place for such a step, unless another one has it: the script `claim_place`. A place that is not renewed comes
    /// free on its own.
    func claimQuarantine(_ session: SessionID, step: Int) async throws(StoreError) -> Bool {
        var call = RedisScriptCall(StoreScripts.claimPlace, keys: [RedisKeys.suspects])
        call.append(session.text)
        call.append(integer: leaseMilliseconds * Int64(Self.quarantine))
        let reply = try await attempt(for: configuration.retryPatience) { [call] () throws(RedisError) in
            try await self.client.route(for: RedisKeys.suspects).evaluate(call)
        }
        return reply[0]?.integer == 1
    }
}
