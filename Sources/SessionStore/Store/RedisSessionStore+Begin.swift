import NIOCore
import RedisClient

extension RedisSessionStore {
    /// Accepts a message: the script `begin_step`.
    ///
    /// - Throws: ``StoreError`` with `.outcomeUnknown` when the message may have been written, or may yet be.
    public func begin(_ begin: BeginStep) async throws(StoreError) -> BeginOutcome {
        let keys = RedisKeys(begin.session)
        var known = try await now(of: keys.prefix)
        var lateAnswers = 0
        var isRepeated = false
        while true {
            // The sweeper is told to look before the lease is taken, so that a crash at any point leaves a look too many.
            let due = known + leaseMilliseconds + configuration.hintMargin.milliseconds
            let call = call(for: begin, keys: keys, due: due)
            var hint = RedisCommand("ZADD", keys.running, "GT")
            hint.append(integer: due)
            hint.append(begin.session.text)
            let sent = ContinuousClock.now
            let reply = try await send(
                call, after: hint, acknowledged: begin.input.isToolResult, keys: keys, isRepeated: &isRepeated)
            guard let now = reply[1]?.integer else { throw .unexpected(reply) }
            heard(now, of: keys.prefix, sent: sent)
            if reply[0]?.string == "late" {
                // The clock was off, or the command was long on its way. Once more with the time it has just told us.
                lateAnswers += 1
                guard lateAnswers < 3 else { throw StoreError(.unavailable, "Redis took longer than a lease to accept the message") }
                known = now
                continue
            }
            let outcome = try outcome(reply, begin: begin)
            switch outcome {
            case .started, .waiting: activity.note(begin.session, at: now)
            case .replay: break
            case .busy, .orphaned, .refused:
                // The call whose answer was lost may still be on its way, and do by then what this one may not.
                if isRepeated {
                    throw StoreError(.outcomeUnknown, "an answer was lost, and the same call was refused when it was sent again")
                }
            }
            return outcome
        }
    }

    /// - Parameters:
    ///   - acknowledged: Whether a message that is merely stored is answered for, and must be at Redis's replicas first.
    ///   - isRepeated: Set when an answer was lost and the call was sent again.
    private func send(
        _ call: RedisScriptCall, after hint: RedisCommand, acknowledged: Bool, keys: RedisKeys, isRepeated: inout Bool
    ) async throws(StoreError) -> RedisReply {
        let acknowledgement = acknowledged ? configuration.acknowledgement : nil
        let sharesWrite = client.isOneServer && acknowledgement == nil
        // In the same write where the same connection takes it; else it must be there before.
        if !sharesWrite { _ = try await read(hint, key: keys.running) }
        return try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            do throws(RedisError) {
                if let acknowledgement {
                    let route = client.route(for: keys.prefix, over: .acknowledging)
                    let results = try await route.evaluate(call, following: [acknowledgement.command])
                    return try acknowledgement.checked(results) { $0[0]?.string == "waiting" }
                }
                guard sharesWrite else { return try await client.route(for: keys.prefix).evaluate(call) }
                let results = try await client.connection(for: keys.prefix).evaluate(call, preceding: [hint], following: [])
                guard let reply = results.first else { throw RedisError.neverSent }
                return try reply.get()
            } catch {
                isRepeated = isRepeated || error.mayHaveBeenApplied
                throw error
            }
        }
    }

    private func call(for begin: BeginStep, keys: RedisKeys, due: Int64) -> RedisScriptCall {
        let empty = ByteBuffer()
        let kind: String
        var message = empty
        var callID = ""
        var toolName = ""
        var digest = ""
        switch begin.input {
        case .user(let json):
            kind = "user"
            message = json
        case .toolResult(let json, let id, let name):
            kind = "tool_result"
            message = json
            callID = id
            toolName = name ?? ""
            digest = Digest.short(json)
        case .retry:
            kind = "retry"
        case .replacement(let json):
            kind = "replace"
            message = json
        }
        var call = RedisScriptCall(StoreScripts.beginStep, keys: keys, capacity: 512 + message.readableBytes)
        call.append(begin.token.text)
        call.append(begin.token.nonce)
        call.append(configuration.replica)
        call.append(integer: leaseMilliseconds)
        call.append(integer: due)
        call.append(integer: ttlMilliseconds)
        call.append(kind)
        call.append(message)
        call.append(begin.systemPrompt ?? empty)
        call.append(begin.idempotency?.key ?? "")
        call.append(begin.idempotency?.digest ?? "")
        call.append(callID)
        call.append(toolName)
        call.append(digest)
        call.append(begin.expectedLength.map(String.init) ?? "")
        call.append(begin.settings.model ?? "")
        call.append(begin.settings.tools ?? empty)
        call.append(begin.settings.metadata ?? empty)
        call.append(begin.settings.onDisconnect?.rawValue ?? "")
        call.append(integer: Int64(configuration.ledgerBound))
        call.append(publish)
        call.append(keys.prefix, "wake")
        call.append(integer: Int64(configuration.maximumMessages))
        call.append(integer: Int64(configuration.maximumHistoryBytes))
        call.append(integer: Int64(layout.current))
        call.append(integer: Int64(RedisLayout.known))
        call.append(configuration.instance)
        call.append(integer: Int64(configuration.historyAheadBytes))
        call.append(integer: Int64(configuration.historyAheadMessages))
        return call
    }

    private func outcome(_ reply: RedisReply, begin: BeginStep) throws(StoreError) -> BeginOutcome {
        let number = reply[2]?.intValue
        switch (reply[0]?.string, number) {
        case ("started", let step?):
            guard let length = reply[3]?.intValue, let bytes = reply[9]?.intValue, let messages = reply[10]?.buffers,
                let kept = reply[11]?.intValue, let reasoning = reply[12]?.buffers
            else { throw .unexpected(reply) }
            let lease = StepLease(session: begin.session, token: begin.token, step: step)
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
            guard let refusal = reply[3], case .refused(let reason, _) = try outcome(refusal, begin: begin) else {
                throw .unexpected(reply)
            }
            return .refused(reason, orphan: step)
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
    /// model, tools, metadata and on_disconnect, from the element at `index` on.
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
