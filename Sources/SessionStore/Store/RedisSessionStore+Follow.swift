public import NIOCore
import RedisClient

extension RedisSessionStore {
    /// Returns the events after `step`-`sequence`, at most `limit` entries, with the session's
    /// status just before.
    ///
    /// For a session that the requester may not see, it returns what it returns for one that does
    /// not exist.
    ///
    /// - Parameter openingOf: The step whose opening entry is wanted as well.
    package func log(
        _ session: SessionID, afterStep step: Int, sequence: Int, openingOf opened: Int? = nil, limit: Int, as requester: Requester
    ) async throws(StoreError) -> LogView {
        let keys = keys(session)
        // No transaction is needed: Redis reads the log after the state. If the state says that a
        // step has ended, its end is in the log that is read.
        var commands = [
            RedisCommand("HMGET", keys.state, "status", "fence", "nonce", "lease_until", "updated_at", "epoch", "subject"),
            RedisCommand("TIME"),
            RedisCommand("XRANGE", keys.events, "(\(max(step, 0))-\(max(sequence, 0))", "+", "COUNT", String(limit)),
        ]
        if let opened { commands.append(RedisCommand("XRANGE", keys.events, "\(max(opened, 0))-0", "\(max(opened, 0))-0")) }
        let sent = ContinuousClock.now
        var replies = try await read(commands, key: keys.state, over: .logs)
        if let acknowledgement = configuration.acknowledgement, replies.count > 2, let last = lastEnd(replies[2]),
            !isSettled(replies[0][4], now: replies[1]), !acknowledged.holds(session, epoch: replies[0][5]?.string, step: last)
        {
            // No client may hear of a commit that a failover could take back (I4). The log is read
            // again, since `WAIT` covers only what its own connection sent.
            replies = try await read(commands, key: keys.state, acknowledgement: acknowledgement)
            if let last = lastEnd(replies[2]) { acknowledged.note(session, epoch: replies[0][5]?.string, step: last) }
        }
        guard replies.count == commands.count else { throw StoreError(.unexpectedReply, "too few replies to a look at a log") }
        let (state, now) = (replies[0], replies[1].time)
        heard(now, of: keys.prefix, sent: sent)
        let subject = state[6]?.string ?? ""
        guard requester.reaches(session, ownedBy: subject) else { return .absent }
        return LogView(
            status: state[0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
            step: Int(try state[1].number(in: "fence")),
            nonce: state[2]?.string ?? "",
            subject: subject,
            leaseLeft: .milliseconds(max(0, try state[3].number(in: "lease_until") - (now ?? 0))),
            opening: replies.dropFirst(3).first.flatMap { $0[0] }.flatMap { LogEntry(reply: $0) },
            entries: entries(replies[2])
        )
    }

    /// Returns the latest step with an event in a part of the log that rests on the history. All
    /// events but text deltas do.
    private func lastEnd(_ reply: RedisReply) -> Int? {
        entries(reply).last { $0.fields.contains { name, _ in Self.finalEvents.contains(name) } }?.step
    }

    /// How long after a session's last write this replica still waits for Redis's replicas. If they
    /// lack the write after that time, no wait brings it.
    private static let settledAfter = Duration.seconds(60)

    /// Whether a session's last write is so old that no wait for Redis's replicas is needed.
    ///
    /// - Parameters:
    ///   - updated: The state's `updated_at`.
    ///   - now: The reply to `TIME`.
    private func isSettled(_ updated: RedisReply?, now: RedisReply) -> Bool {
        guard let updated = updated?.integerValue, let seconds = now[0]?.integerValue else { return false }
        return updated / 1000 < seconds - Self.settledAfter.components.seconds
    }

    private static let finalEvents = [LoggedEvents.Field.message, .done].map(\.rawValue)

    private func entries(_ reply: RedisReply) -> [LogEntry] {
        var entries: [LogEntry] = []
        entries.reserveCapacity(reply.count)
        reply.forEachElement { if let entry = LogEntry(reply: $0) { entries.append(entry) } }
        return entries
    }

    /// Returns a session's journal: one JSON object per step that ended, oldest first.
    ///
    /// - Returns: The lines, and whether they are complete: Redis keeps the last
    ///   ``StoreConfiguration/journalBound`` of them. None for a session that the requester may not
    ///   see.
    public func journal(
        _ session: SessionID, as requester: Requester
    ) async throws(StoreError) -> (lines: [ByteBuffer], isComplete: Bool) {
        let keys = keys(session)
        var commands = [RedisCommand("LRANGE", keys.steps, "0", "-1")]
        if configuration.acknowledgement != nil {
            commands = [RedisCommand("HGET", keys.state, "updated_at"), RedisCommand("TIME")] + commands
        }
        guard var replies = try await read(commands, of: keys, as: requester, over: .bulk) else { return ([], true) }
        if let acknowledgement = configuration.acknowledgement, replies.count > 2, !isSettled(replies[0], now: replies[1]) {
            // Clients hear from the journal how a step ended.
            let settled = try await read(commands, of: keys, as: requester, over: .bulk, acknowledgement: acknowledgement)
            guard let settled else { return ([], true) }
            replies = settled
        }
        guard let reply = replies.last else { throw StoreError(.unexpectedReply, "no reply to a look at a journal") }
        var lines: [ByteBuffer] = []
        // The filler that keeps the key in existence has two bytes; every line has more.
        reply.forEachElement { if let line = $0.buffer, line.readableBytes > 2 { lines.append(line) } }
        return (lines, lines.count < configuration.journalBound)
    }
}

extension LogEntry {
    init?(reply: RedisReply) {
        // Redis allows ids up to 2^64; replicas write none that large.
        let ids = 0...Int(RedisReply.numbers.upperBound)
        guard let id = reply[0]?.string, let dash = id.firstIndex(of: "-"), let step = Int(id[..<dash]), ids.contains(step),
            let sequence = Int(id[id.index(after: dash)...]), ids.contains(sequence), let values = reply[1]
        else { return nil }
        var fields: [(name: String, value: ByteBuffer)] = []
        fields.reserveCapacity(values.count / 2)
        for index in stride(from: 0, to: values.count - 1, by: 2) {
            if let name = values[index]?.string, let value = values[index + 1]?.buffer { fields.append((name, value)) }
        }
        self.init(step: step, lastSequence: sequence, fields: fields)
    }
}
