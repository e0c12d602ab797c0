import RedisClient

extension RedisSessionStore {
    /// Takes the next lease on a running step: the script `take_over`.
    ///
    /// A lost replica's step is left alone in the first ``StoreConfiguration/outagePause`` after
    /// the session's server was away, unless the step was released (I6).
    ///
    /// - Parameters:
    ///   - takeOver: The step, and why it is taken.
    ///   - requester: In whose name the step is ended; ``Requester/tenant`` for a replica.
    /// - Throws: ``StoreError``; with `.outcomeUnknown` the lease may have been taken. It then runs
    ///   out like any other.
    public func takeOver(_ takeOver: TakeOver, as requester: Requester) async throws(StoreError) -> TakeOverOutcome {
        if takeOver.reason != .cancel, !outage.isOver(at: client.location(of: keys(takeOver.session).prefix)) {
            guard try await look(takeOver.session, as: requester).isReleased else { return .tooEarly }
        }
        if takeOver.reason == .lost {
            guard try await readmit(takeOver) else {
                postpone(takeOver.session, for: configuration.lease / 3)
                return .tooEarly
            }
        }
        let outcome = try await send(takeOver, as: requester, verdict: nil)
        guard case .suspect(let suspect) = outcome else { return outcome }
        guard let verdict = try await verdict(on: suspect, of: takeOver.session) else { return .tooEarly }
        return try await send(takeOver, as: requester, verdict: verdict)
    }

    private func send(
        _ takeOver: TakeOver, as requester: Requester, verdict: SuspectStep.Verdict?
    ) async throws(StoreError) -> TakeOverOutcome {
        let keys = keys(takeOver.session)
        let isCancel = takeOver.reason == .cancel
        let call = StoreScripts.takeOver.call(
            TakeOverCall(store: self, keys: keys, requester: requester, takeOver: takeOver, verdict: verdict), on: keys)
        let sent = ContinuousClock.now
        let outcome = try await attempt(for: configuration.retryPatience) { () throws(RedisError) -> RedisReply? in
            do throws(RedisError) {
                return try await self.client.route(for: keys.prefix).evaluate(call)
            } catch {
                // Redis may have refused the owner, too. A call that is repeated until Redis serves
                // could overtake the owner's renewal.
                guard !isCancel, self.refused(error, key: keys.prefix) else { throw error }
                return nil
            }
        }
        guard let reply = outcome else { return .tooEarly }
        heard(reply[1]?.integer, of: keys.prefix, sent: sent)
        guard let step = reply[2]?.intValue else { throw .unexpected(reply) }
        switch reply[0]?.string {
        case "taken":
            // The hint that led here is due. Until it has moved, other sweepers read the session in
            // vain.
            moveHint(takeOver.session, on: client.route(for: keys.running))
            var lease = StepLease(
                session: takeOver.session, token: takeOver.token, step: step, subject: reply[18]?.string ?? "")
            lease.maximumAge = reply[19]?.integer ?? 0
            lease.slot = reply[17]?.nonEmptyString.flatMap { StepSlot(text: $0) }
            renewSlot(of: lease, on: client.route(for: keys.prefix))
            return .taken(try takenStep(reply, lease: lease))
        case "alive":
            return .alive(leaseLeft: .milliseconds(reply[3]?.integer ?? 0))
        case "gone":
            return .gone(step: step)
        case "suspect":
            return .suspect(
                SuspectStep(
                    step: step, lapsed: .milliseconds(max(0, reply[3]?.integer ?? 0)),
                    losses: reply.strings(from: 4).compactMap { SuspectStep.Loss($0) }))
        case "newer":
            // A replica of the build that wrote the session takes the step over.
            return .gone(step: 0)
        default:
            throw .unexpected(reply)
        }
    }

    /// Reads `STEP NONCE,STEP NONCE …`.
    private static func chain(_ text: String) -> [EventID] {
        text.split(separator: ",").compactMap { entry in
            let words = entry.split(separator: " ")
            guard words.count == 2, let step = Int(words[0]) else { return nil }
            return EventID(step: step, sequence: 0, nonce: String(words[1]))
        }
    }

    private func takenStep(_ reply: RedisReply, lease: StepLease) throws(StoreError) -> TakenStep {
        let action: TakenStep.Action
        switch reply[5]?.string {
        case "run": action = .run
        case TakeOverCall.cancelIntent: action = .cancel
        case "fail": action = .fail
        default: throw .unexpected(reply)
        }
        guard let replaces = reply[3]?.intValue, let length = reply[7]?.intValue else { throw .unexpected(reply) }
        guard let bytes = reply[12]?.intValue, let messages = reply[13]?.buffers,
            let kept = reply[15]?.intValue, let reasoning = reply[16]?.buffers
        else { throw .unexpected(reply) }
        let settings = TurnSettings(reply: reply, at: 8)
        return TakenStep(
            started: StartedStep(
                lease: lease, history: messages, historyLength: length, historyBytes: max(0, bytes),
                reasoning: reasoning, reasoningCount: kept, settings: settings),
            action: action, replaces: replaces, previousOwner: reply[4]?.string ?? "", replaced: Self.chain(reply[14]?.string ?? ""))
    }
}
