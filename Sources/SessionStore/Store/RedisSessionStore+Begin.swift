import NIOCore
import RedisClient
import Synchronization

extension RedisSessionStore {
    /// Accepts a message: the script `begin_step`, once the accounts of the request let it begin a
    /// step.
    ///
    /// - Parameters:
    ///   - begin: The message.
    ///   - requester: In whose name the message comes. A session that it creates is its own.
    /// - Throws: ``StoreError`` with `.outcomeUnknown` if the message may have been written, or may
    ///   yet be.
    public func begin(_ begin: BeginStep, as requester: Requester) async throws(StoreError) -> BeginOutcome {
        guard layout.current >= RedisLayout.owners || requester == .tenant && begin.session.tenant.isStandard else {
            throw .olderLayout(layout.current)
        }
        if let age = begin.maximumAge { shortestAge.min(age.milliseconds, ordering: .relaxed) }
        var isRepeated = false
        switch try await admit(begin) {
        case .refused(let refusal):
            guard begin.mayNeedNoSlot else { return .limited(refusal) }
            return try await accept(begin, as: requester, slot: nil, isRepeated: &isRepeated) ?? .limited(refusal)
        case .admitted(let slot, let until):
            do throws(StoreError) {
                guard let outcome = try await accept(begin, as: requester, slot: slot, isRepeated: &isRepeated) else {
                    throw StoreError(.unexpectedReply, "Redis refused a step that limits let begin")
                }
                if case .started(let started) = outcome {
                    keepSlot(of: started.lease, until: until)
                } else if !isRepeated {
                    // A call whose reply was lost may have begun the step, and has then led to a
                    // replay.
                    takeBack(slot)
                }
                return outcome
            } catch {
                // If the call may have begun the step, the slot lapses or the step's next owner has
                // it.
                if error.code != .outcomeUnknown { takeBack(slot) }
                throw error
            }
        }
    }

    /// Sends the message to the session.
    ///
    /// - Parameters:
    ///   - slot: The step's slots; nil if limits forbid the message to begin a step.
    ///   - isRepeated: Set if a reply was lost and the call was sent again.
    /// - Returns: Nil if the message would begin a step, and may not.
    private func accept(
        _ begin: BeginStep, as requester: Requester, slot: StepSlot?, isRepeated: inout Bool
    ) async throws(StoreError) -> BeginOutcome? {
        let keys = keys(begin.session)
        var known = try await now(of: keys.prefix)
        var (lateReplies, expiredReplies) = (0, 0)
        while true {
            // The hint is written before the lease is taken: a crash at any point leaves a hint too
            // many, never a step without one.
            let due = known + leaseMilliseconds + configuration.hintMargin.milliseconds
            let call = StoreScripts.beginStep.call(
                BeginStepCall(store: self, keys: keys, requester: requester, begin: begin, hintDue: due, slot: slot), on: keys,
                capacity: 768 + begin.input.byteCount)
            var hint = RedisCommand("ZADD", keys.running, "GT")
            hint.append(integer: due)
            hint.append(begin.session.name)
            let sent = ContinuousClock.now
            let reply = try await send(
                call, after: slot == nil ? nil : hint, acknowledged: begin.input.isToolResult, keys: keys, isRepeated: &isRepeated)
            guard let now = reply[1]?.integer else { throw .unexpected(reply) }
            heard(now, of: keys.prefix, sent: sent)
            if reply[0]?.string == "limited" { return nil }
            if reply[0]?.string == "late" {
                // The estimate of Redis's clock was wrong, or the command took long. The reply has
                // the right time.
                lateReplies += 1
                guard lateReplies < 3 else { throw StoreError(.unavailable, "Redis took longer than a lease to accept the message") }
                known = now
                continue
            }
            if reply[0]?.string == "expired" {
                // No script may remove keys and write them again. A session that another replica has
                // begun under the name meanwhile stays.
                expiredReplies += 1
                guard expiredReplies < 3 else { throw StoreError(.unavailable, "the session ends at each message") }
                let origin = SessionOrigin(epoch: reply[2]?.string ?? "", subject: reply[3]?.string ?? "")
                _ = try await delete(begin.session, of: origin, as: requester)
                known = now
                continue
            }
            let outcome = try outcome(reply, begin: begin, slot: slot)
            switch outcome {
            case .started(let started): activity.note(begin.session, of: started.lease.subject, at: now)
            case .waiting: activity.note(begin.session, of: reply[reply.count - 1]?[0]?.string ?? "", at: now)
            case .replay: break
            case .busy, .orphaned, .refused, .limited:
                // The call whose reply was lost may still be on its way, and may then do what this
                // one was refused.
                if isRepeated {
                    throw StoreError(.outcomeUnknown, "an answer was lost, and the same call was refused when it was sent again")
                }
            }
            return outcome
        }
    }

    /// Sends the call with its hint, and again while replies are lost.
    ///
    /// - Parameters:
    ///   - hint: Nil for a call that begins no step.
    ///   - acknowledged: Whether the client hears of a message that is only stored, so that Redis's
    ///     replicas must have it first.
    ///   - isRepeated: Set if a reply was lost and the call was sent again.
    private func send(
        _ call: RedisScriptCall, after hint: RedisCommand?, acknowledged: Bool, keys: RedisKeys, isRepeated: inout Bool
    ) async throws(StoreError) -> RedisReply {
        let acknowledgement = acknowledged ? configuration.acknowledgement : nil
        let sharesWrite = client.isOneServer && acknowledgement == nil
        // The hint shares the write if it goes over the same connection; otherwise Redis must have
        // it before.
        if !sharesWrite, let hint { _ = try await read(hint, key: keys.running) }
        return try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            do throws(RedisError) {
                if let acknowledgement {
                    let route = client.route(for: keys.prefix, over: .acknowledging)
                    let results = try await route.evaluate(call, following: [acknowledgement.command])
                    return try acknowledgement.checked(results) { $0[0]?.string == "waiting" }
                }
                guard sharesWrite, let hint else { return try await client.route(for: keys.prefix).evaluate(call) }
                let results = try await client.connection(for: keys.prefix).evaluate(call, preceding: [hint], following: [])
                guard let reply = results.first else { throw RedisError.neverSent }
                return try reply.get()
            } catch {
                isRepeated = isRepeated || error.mayHaveBeenApplied
                throw error
            }
        }
    }

    /// Returns the greatest age of a message's session in milliseconds; 0 for none.
    func maximumAge(of begin: BeginStep) -> Int64 { (begin.maximumAge ?? configuration.maximumAge)?.milliseconds ?? 0 }

    private func outcome(_ reply: RedisReply, begin: BeginStep, slot: StepSlot?) throws(StoreError) -> BeginOutcome {
        let number = reply[2]?.intValue
        switch (reply[0]?.string, number) {
        case ("started", let step?):
            guard let length = reply[3]?.intValue, let bytes = reply[9]?.intValue, let messages = reply[10]?.buffers,
                let kept = reply[11]?.intValue, let reasoning = reply[12]?.buffers, let subject = reply[13]?.string
            else { throw .unexpected(reply) }
            var lease = StepLease(session: begin.session, token: begin.token, step: step, subject: subject)
            lease.slot = slot
            lease.maximumAge = maximumAge(of: begin)
            return .started(
                StartedStep(
                    lease: lease, history: messages, historyLength: length, historyBytes: max(0, bytes),
                    reasoning: reasoning, reasoningCount: kept, settings: TurnSettings(reply: reply, at: 4)))
        case ("waiting", let step?):
            return .waiting(step: step, historyLength: reply[3]?.intValue ?? 0, open: reply.strings(from: 4))
        case ("replay", let step?):
            return .replay(step: step)
        case ("busy", let step?):
            return .busy(step: step, leaseLeft: .milliseconds(reply[3]?.integer ?? 0))
        case ("orphaned", let step?):
            return .orphaned(step: step)
        case ("orphan", let step?):
            guard let refusal = reply[3], case .refused(let reason, _) = try outcome(refusal, begin: begin, slot: nil) else {
                throw .unexpected(reply)
            }
            return .refused(reason, orphan: step)
        case ("forbidden", _):
            return .refused(.forbidden)
        case ("newer", let layout?):
            return .refused(.newerLayout(layout))
        case ("idempotency_mismatch", _):
            return .refused(.idempotencyMismatch)
        case ("unknown_call", _):
            return .refused(.unknownCall)
        case ("result_conflict", _):
            return .refused(.resultConflict)
        case ("call_closed", _):
            return .refused(.callClosed)
        case ("tool_name_mismatch", _):
            return .refused(.toolNameMismatch(expected: reply[2]?.string ?? ""))
        case ("nothing_to_retry", _):
            return .refused(.nothingToRetry)
        case ("calls_pending", _):
            return .refused(.callsPending(reply.strings(from: 2)))
        case ("history_mismatch", let length?):
            return .refused(.historyMismatch(length: length))
        case ("history_full", let length?):
            return .refused(.historyFull(length: length, bytes: reply[3]?.intValue ?? 0))
        default:
            throw .unexpected(reply)
        }
    }
}

extension TurnSettings {
    /// Reads model, tools, metadata and on_disconnect, from the element at `index` on.
    init(reply: RedisReply, at index: Int) {
        self.init(
            model: reply[index]?.nonEmptyString,
            tools: reply[index + 1]?.nonEmptyBuffer,
            metadata: reply[index + 2]?.nonEmptyBuffer,
            onDisconnect: reply[index + 3]?.string.flatMap(OnDisconnect.init(rawValue:))
        )
    }
}

extension RedisReply {
    func strings(from start: Int) -> [String] {
        (start..<max(start, count)).compactMap { self[$0]?.string }
    }
}
