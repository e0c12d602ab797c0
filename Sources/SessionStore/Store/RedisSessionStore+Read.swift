import NIOCore
import RedisClient

extension RedisSessionStore {
    /// Returns the state of a session; nil if the session does not exist, or if it is another
    /// user's.
    public func state(_ session: SessionID, as requester: Requester) async throws(StoreError) -> SessionState? {
        let keys = keys(session)
        let replies = try await snapshot(keys)
        guard let hash = replies[0], let length = replies[1]?.intValue, let calls = replies[2], let time = replies[3] else {
            throw .unexpected(replies)
        }
        if hash.count == 0, length == 0 { return nil }
        var fields: [String: RedisReply] = [:]
        for index in stride(from: 0, to: hash.count - 1, by: 2) {
            if let name = hash[index]?.string { fields[name] = hash[index + 1] }
        }
        guard requester.reaches(session, ownedBy: fields["subject"]?.string) else { return nil }
        func number(_ name: String) throws(StoreError) -> Int64 { try fields[name].number(in: name) }
        var pending: [(id: String, json: ByteBuffer)] = []
        for index in stride(from: 0, to: calls.count - 1, by: 2) {
            // The empty id is the filler that keeps the key in existence.
            if let id = calls[index]?.string, !id.isEmpty, let json = calls[index + 1]?.buffer { pending.append((id, json)) }
        }
        try await sortInModelsOrder(&pending, keys: keys)
        let status = fields["status"]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle
        return SessionState(
            status: status,
            step: Int(try number("fence")),
            nonce: fields["nonce"]?.string ?? "",
            owner: fields["owner"]?.string ?? "",
            leaseUntil: try number("lease_until"),
            now: time.time ?? 0,
            attempt: Int(try number("attempt")),
            intent: fields["intent"]?.string ?? "",
            epoch: fields["epoch"]?.string ?? "",
            subject: fields["subject"]?.nonEmptyString,
            settings: TurnSettings(
                model: fields["model"]?.nonEmptyString,
                tools: fields["tools"]?.nonEmptyBuffer,
                metadata: fields["metadata"]?.nonEmptyBuffer,
                onDisconnect: fields["on_disconnect"]?.string.flatMap(TurnSettings.OnDisconnect.init(rawValue:))
            ),
            createdAt: try number("created_at"),
            updatedAt: try number("updated_at"),
            promptTokens: Int(try number("prompt_tokens")),
            completionTokens: Int(try number("completion_tokens")),
            // While a step runs, the field belongs to the step before.
            finishReason: status == .running ? nil : fields["finish_reason"]?.nonEmptyString,
            historyLength: length,
            pending: pending
        )
    }

    /// Sorts calls by their place in the model's completion. A Redis hash keeps no order, so the
    /// ledger holds each call's index.
    private func sortInModelsOrder(_ calls: inout [(id: String, json: ByteBuffer)], keys: RedisKeys) async throws(StoreError) {
        guard calls.count > 1 else { return }
        var command = RedisCommand("HMGET", keys.ledger)
        for call in calls { command.append("c:" + call.id) }
        let reply = try await read(command, key: keys.ledger)
        let places = (0..<calls.count).map { index in
            reply[index]?.string?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? .max
        }
        calls = zip(places, calls).sorted { ($0.0, $0.1.id) < ($1.0, $1.1.id) }.map(\.1)
    }

    /// Reads from a session if the requester may see it; otherwise returns nil.
    ///
    /// The owner is read with the rest, so that no other session of the same name comes between.
    func read(
        _ commands: [RedisCommand], of keys: RedisKeys, as requester: Requester, over lane: RedisLane = .usual,
        acknowledgement: Acknowledgement? = nil
    ) async throws(StoreError) -> [RedisReply]? {
        guard requester != .tenant else {
            return try await read(commands, key: keys.prefix, over: lane, acknowledgement: acknowledgement)
        }
        var replies = try await read(
            [RedisCommand("HGET", keys.state, "subject")] + commands, key: keys.prefix, over: lane, acknowledgement: acknowledgement)
        guard !replies.isEmpty, requester.reaches(keys.session, ownedBy: replies.removeFirst().string) else { return nil }
        return replies
    }

    func read(_ command: RedisCommand, key: String) async throws(StoreError) -> RedisReply {
        guard let reply = try await read([command], key: key).first else { throw StoreError(.unexpectedReply, "no reply") }
        return reply
    }

    /// Sends commands that are safe to repeat, and sends them again when their replies are lost.
    ///
    /// - Parameters:
    ///   - lane: ``RedisLane/usual`` is for small replies only.
    ///   - acknowledgement: The replicas of Redis that must have all that is read. This uses
    ///     connections of its own.
    /// - Throws: ``StoreError``, never with `.outcomeUnknown`: the commands write nothing.
    func read(
        _ commands: [RedisCommand], key: String, over lane: RedisLane = .usual, acknowledgement: Acknowledgement? = nil
    ) async throws(StoreError) -> [RedisReply] {
        do throws(StoreError) {
            let lane = acknowledgement == nil ? lane : .acknowledging
            return try await attempt(for: configuration.retryPatience, over: lane) { () throws(RedisError) in
                var results: [Result<RedisReply, RedisError>]
                if let acknowledgement {
                    results = try await self.client.route(for: key, over: lane).send(pipeline: commands + [acknowledgement.command])
                    if let last = results.popLast() { try acknowledgement.check(last) }
                } else {
                    results = try await self.client.route(for: key, over: lane).send(pipeline: commands)
                }
                var replies: [RedisReply] = []
                for result in results {
                    if case .failure(let error) = result { self.refused(error, key: key) }
                    replies.append(try result.get())
                }
                return replies
            }
        } catch {
            guard error.code == .outcomeUnknown else { throw error }
            throw StoreError(Task.isCancelled ? .cancelled : .unavailable, error.message)
        }
    }
}
