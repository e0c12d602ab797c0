import NIOCore
import RedisClient

/// Limits on what accounts may use, over all replicas: a step has a slot in each of its accounts
/// that has limits, and the slot lives as long as the step's lease. A killed replica's slots so
/// become free on their own.
extension RedisSessionStore {
    /// Whether the accounts of a step let it begin.
    enum Admission {
        /// - Parameter until: Until when the first of its slots lives, on Redis's clock.
        case admitted(StepSlot, until: Int64)
        case refused(LimitRefusal)
    }

    func keys(_ account: Account) -> AccountKeys { AccountKeys(account, in: keyspace) }

    /// How long a slot outlives the lease that it was renewed with: longer than the two commands
    /// are apart, so that no slot is free while its lease lives.
    private var slotMargin: Duration { min(configuration.hintMargin, configuration.lease / 10) }
    private var slotMilliseconds: Int64 { leaseMilliseconds + slotMargin.milliseconds }

    // MARK: Begin

    /// Asks the accounts of a step whether it may begin: the script `admit`, for each account that
    /// has limits. If one of them refuses, the others get back what they were charged.
    func admit(_ begin: BeginStep) async throws(StoreError) -> Admission {
        var slot = StepSlot(begin.accounts, session: begin.session, reserve: configuration.tokenReserve)
        var until = Int64.max
        for (index, share) in slot.shares.enumerated() where share.hasLimits {
            let admitted = StepSlot(slot, first: index)
            do throws(StoreError) {
                let (now, refusal) = try await admit(share, of: slot.name, isLost: false)
                if let refusal {
                    takeBack(admitted)
                    return .refused(refusal)
                }
                slot.day = UsageDay(milliseconds: now).number
                until = min(until, now + slotMilliseconds)
            } catch {
                takeBack(admitted)
                // The call may have been applied although its reply was lost.
                if error.code == .outcomeUnknown { settle(share, of: slot, used: nil, isRepeated: true) }
                throw error
            }
        }
        return .admitted(slot, until: until)
    }

    /// Renews the slots of a step that has just begun, if it took so long that its lease would
    /// outlive them.
    func keepSlot(of lease: StepLease, until: Int64) {
        let key = keys(lease.session).prefix
        guard let now = time(of: key), now + leaseMilliseconds > until else { return }
        renewSlot(of: lease, on: client.route(for: key))
    }

    private func admit(
        _ share: StepSlot.Share, of step: String, isLost: Bool
    ) async throws(StoreError) -> (now: Int64, refusal: LimitRefusal?) {
        let keys = keys(share.account)
        let call = StoreScripts.admit.call(
            AdmitCall(
                step: step, slot: slotMilliseconds, share: share, isLost: isLost,
                keepsLapsed: !outage.isOver(at: client.location(of: keys.prefix)), sent: time(of: keys.prefix) ?? 0), on: keys)
        let sent = ContinuousClock.now
        let reply = try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            try await self.client.route(for: keys.prefix).evaluate(call)
        }
        guard let now = reply[1]?.integer else { throw .unexpected(reply) }
        heard(now, of: keys.prefix, sent: sent)
        switch reply[0]?.string {
        case "admitted": return (now, nil)
        case "refused":
            guard let limit = reply[2]?.string.flatMap(UsageLimit.init(rawValue:)), let wait = reply[3]?.integer else {
                throw .unexpected(reply)
            }
            return (now, LimitRefusal(limit: limit, quota: share.account.limits[limit], retryAfter: .milliseconds(max(1, wait))))
        default: throw .unexpected(reply)
        }
    }

    /// Takes back the slots and the charges of a step that did not begin. The call does not wait
    /// for replies.
    func takeBack(_ slot: StepSlot) {
        for share in slot.shares where share.hasLimits { settle(share, of: slot, used: nil) }
    }

    // MARK: Take over

    /// Asks for the slots of a lost step before a replica takes it over. If they have lapsed and
    /// other steps have them, the step waits: the next slot that becomes free is left to it.
    ///
    /// - Returns: Whether the step may be taken over.
    func readmit(_ takeOver: TakeOver) async throws(StoreError) -> Bool {
        guard let slot = try await slot(of: takeOver), slot.limitsStreams else { return true }
        let shares = slot.shares.filter { $0.account.limits.streams != nil }
        var waits = false
        for share in shares where try await admit(share, of: slot.name, isLost: true).refusal != nil { waits = true }
        guard waits else { return true }
        // A step holds no slot of one account while it waits for another's: two such steps could
        // wait for each other.
        if shares.count > 1 {
            for share in shares { exchange(share, of: slot) }
        }
        return false
    }

    /// Turns a slot into a claim to the next one.
    private func exchange(_ share: StepSlot.Share, of slot: StepSlot) {
        let keys = keys(share.account)
        guard let now = time(of: keys.prefix) else { return }
        let route = client.route(for: keys.prefix)
        route.submit(RedisCommand("ZREM", keys.running, slot.name)) { _ in }
        route.submit(RedisCommand("ZADD", keys.waiting, "\(now + slotMilliseconds)", slot.name)) { _ in }
        route.submit(RedisCommand("PEXPIREAT", keys.waiting, "\(now + slotMilliseconds)")) { _ in }
    }

    /// Returns the slot of the step that is to be taken over; nil if that step has no slot, or if the
    /// session runs another step.
    private func slot(of takeOver: TakeOver) async throws(StoreError) -> StepSlot? {
        let key = keys(takeOver.session).state
        let state = try await read(RedisCommand("HMGET", key, "fence", "replaces", "origin", "slot"), key: key)
        let (fence, replaces) = (state[0]?.string.flatMap { Int($0) }, state[1]?.string.flatMap { Int($0) })
        guard fence == takeOver.step, let text = state[3]?.string, let space = text.firstIndex(of: " ") else { return nil }
        let origin = replaces == takeOver.step - 1 ? state[2]?.string.flatMap { Int($0) } : nil
        guard Int(text[..<space]) == origin ?? takeOver.step else { return nil }
        return StepSlot(text: text[text.index(after: space)...])
    }

    // MARK: The life of a slot

    /// Extends the slots of a step beside its lease. The call does not wait for replies.
    ///
    /// - Parameter route: Of the session's other commands, which follow.
    func renewSlot(of lease: StepLease, on route: RedisRoute) {
        guard let slot = lease.slot, slot.limitsStreams else { return }
        for share in slot.shares where share.account.limits.streams != nil {
            let keys = keys(share.account)
            guard let now = time(of: keys.prefix) else { continue }
            var command = RedisCommand("ZADD", keys.running)
            command.append(integer: now + slotMilliseconds)
            command.append(slot.name)
            (client.isOneServer ? route : client.route(for: keys.prefix)).submit(command) { _ in }
        }
    }

    /// Releases the slots of a step that has ended, and charges what it has used instead of what
    /// was reserved. The call does not wait for replies.
    ///
    /// - Parameter used: The tokens that the model counted; nil if it did not: the reserve then
    ///   stays charged.
    package func settle(_ lease: StepLease, used: Int?) {
        guard let slot = lease.slot else { return }
        for share in slot.shares where share.hasLimits { settle(share, of: slot, used: used ?? share.reserved) }
    }

    /// Releases the slots of a step that has ended, and waits for Redis's replies. ``settle(_:used:)``
    /// follows.
    func vacate(_ lease: StepLease) async {
        guard let slot = lease.slot, slot.limitsStreams else { return }
        for share in slot.shares where share.account.limits.streams != nil {
            let keys = keys(share.account)
            // If the command is lost, the slot lapses.
            _ = try? await read(RedisCommand("ZREM", keys.running, slot.name), key: keys.prefix)
        }
    }

    private func settle(_ share: StepSlot.Share, of slot: StepSlot, used: Int?, isRepeated: Bool = false) {
        let keys = keys(share.account)
        let changesRates = used.map { share.countsTokens && $0 != share.reserved } ?? (share.account.limits.hasRates)
        guard changesRates else {
            // If the command is lost, the slot lapses.
            return client.route(for: keys.prefix).submit(RedisCommand("ZREM", keys.running, slot.name)) { _ in }
        }
        settle(SettleCall(step: slot.name, share: share, day: slot.day, used: used, isRepeated: isRepeated), at: keys, tries: 3)
    }

    private func settle(_ call: SettleCall, at keys: AccountKeys, tries: Int) {
        let route = client.route(for: keys.prefix)
        route.submitEvaluate(StoreScripts.settle.call(call, on: keys)) { result in
            guard case .failure(let error) = result, tries > 1, error.mayHaveBeenApplied || error.isTransient else { return }
            let next = SettleCall(
                step: call.step, share: call.share, day: call.day, used: call.used,
                isRepeated: call.isRepeated || error.mayHaveBeenApplied)
            route.connection.eventLoop.scheduleTask(in: .milliseconds(tries > 2 ? 200 : 2000)) {
                self.settle(next, at: keys, tries: tries - 1)
            }
        }
    }
}

extension UsageLimits {
    /// Whether any limit counts requests or tokens.
    fileprivate var hasRates: Bool { requestsPerMinute != nil || tokensPerMinute != nil || tokensPerDay != nil }

    fileprivate subscript(_ limit: UsageLimit) -> Int {
        switch limit {
        case .streams: streams ?? 0
        case .requests: requestsPerMinute ?? 0
        case .tokens: tokensPerMinute ?? 0
        case .day: tokensPerDay ?? 0
        }
    }
}
