public import NIOCore
import RedisClient

extension RedisSessionStore {
    /// The events after `step`-`sequence`, at most `limit` entries, with the session's status just before.
    ///
    /// - Parameter openingOf: The step whose opening entry is wanted as well.
    public func log(
        _ session: SessionID, afterStep step: Int, sequence: Int, openingOf opened: Int? = nil, limit: Int
    ) async throws(StoreError) -> LogView {
        let keys = RedisKeys(session)
        // No transaction: the log is read after the state, so that the end of a step that the state says has ended is in it.
        var commands = [
            RedisCommand("HMGET", keys.state, "status", "fence", "nonce", "lease_until", "updated_at", "epoch"), RedisCommand("TIME"),
            RedisCommand("XRANGE", keys.events, "(\(max(step, 0))-\(max(sequence, 0))", "+", "COUNT", String(limit)),
        ]
        if let opened { commands.append(RedisCommand("XRANGE", keys.events, "\(max(opened, 0))-0", "\(max(opened, 0))-0")) }
        let sent = ContinuousClock.now
        var replies = try await read(commands, key: keys.state, over: .logs)
        if let acknowledgement = configuration.acknowledgement, replies.count > 2, let last = lastEnd(replies[2]),
            !isSettled(replies[0][4], now: replies[1]), !acknowledged.holds(session, epoch: replies[0][5]?.string, step: last)
        {
            // Nobody is told of a commit that a failover could take back (I4). It is read again, since `WAIT` goes by its own connection.
            replies = try await read(commands, key: keys.state, acknowledgement: acknowledgement)
            if let last = lastEnd(replies[2]) { acknowledged.note(session, epoch: replies[0][5]?.string, step: last) }
        }
        guard replies.count == commands.count else { throw StoreError(.unexpectedReply, "too few replies to a look at a log") }
        let (state, now) = (replies[0], replies[1].time)
        heard(now, of: keys.prefix, sent: sent)
        return LogView(
            status: state[0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
            step: Int(try state[1].number(in: "fence")),
            nonce: state[2]?.string ?? "",
            leaseLeft: .milliseconds(max(0, try state[3].number(in: "lease_until") - (now ?? 0))),
            opening: replies.dropFirst(3).first.flatMap { $0[0] }.flatMap { LogEntry(reply: $0) },
            entries: entries(replies[2])
        )
    }

    /// The latest step of which something in a part of the log rests on the history: all but tokens
    /// does.
    private func lastEnd(_ reply: RedisReply) -> Int? {
        entries(reply).last { $0.fields.contains { name, _ in Self.finalEvents.contains(name) } }?.step
    }

    /// How long after a session's last write Redis's replicas are not waited for any more: what
    /// they do not have by then, no wait brings.
    private static let settledAfter = Duration.seconds(60)

    /// - Parameters:
    ///   - updated: The state's `updated_at`.
    ///   - now: The answer to `TIME`.
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

    /// A session's journal: one JSON object per step that ended, oldest first.
    ///
    /// - Returns: Whether it is complete, too: it keeps the last ``StoreConfiguration/journalBound`` lines.
    public func journal(_ session: SessionID) async throws(StoreError) -> (lines: [ByteBuffer], isComplete: Bool) {
        let keys = RedisKeys(session)
        var commands = [RedisCommand("LRANGE", keys.steps, "0", "-1")]
        if configuration.acknowledgement != nil {
            commands = [RedisCommand("HGET", keys.state, "updated_at"), RedisCommand("TIME")] + commands
        }
        var replies = try await read(commands, key: keys.steps, over: .bulk)
        if let acknowledgement = configuration.acknowledgement, replies.count > 2, !isSettled(replies[0], now: replies[1]) {
            // Clients are told from it how a step ended.
            replies = try await read(commands, key: keys.steps, over: .bulk, acknowledgement: acknowledgement)
        }
        guard let reply = replies.last else { throw StoreError(.unexpectedReply, "no reply to a look at a journal") }
        var lines: [ByteBuffer] = []
        // The filler that keeps the key in place has two bytes, and no line has so few.
        reply.forEachElement { if let line = $0.buffer, line.readableBytes > 2 { lines.append(line) } }
        return (lines, lines.count < configuration.journalBound)
    }
}

extension LogEntry {
    init?(reply: RedisReply) {
        // Redis's own ids go up to 2^64; those that replicas write do not.
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
