public import NIOCore
import RedisClient

/// A page of a session's messages.
public struct HistoryPage: Sendable {
    /// Chat messages as JSON, oldest first.
    public var messages: [ByteBuffer]
    /// Of the whole history.
    public var length: Int
}

/// A client decides how large a history is. So the store reads it in pages by bytes, over
/// connections of its own (``RedisLane/bulk``).
extension RedisSessionStore {
    /// Reads the whole history of a step, page by page. The lease keeps the history as it is.
    ///
    /// - Parameters:
    ///   - started: The history that came with it is the first page.
    ///   - onPage: Receives each page; an error that it throws ends the reading.
    package func readHistory(
        of started: StartedStep, onPage: (_ messages: [ByteBuffer]) throws(StoreError) -> Void
    ) async throws(StoreError) {
        let keys = keys(started.lease.session)
        // A replica that has taken the lease meanwhile may have added messages.
        let ahead = Array(started.history.prefix(started.historyLength))
        if !ahead.isEmpty { try onPage(ahead) }
        guard ahead.count < started.historyLength else { return }
        let read = try await readPages(keys, list: keys.history, in: ahead.count..<started.historyLength, as: .tenant, onPage: onPage)
        guard ahead.count + read >= started.historyLength else {
            throw StoreError(.unexpectedReply, "the history of \(keys.session) is shorter than its length")
        }
    }

    /// Reads the reasoning of a step's history, page by page, as
    /// ``StoredReasoning/element(firstMessage:)`` returns it. The list may hold fillers, which are
    /// `{}`.
    ///
    /// - Parameters:
    ///   - started: Has either all of it, or none.
    ///   - onPage: Receives each page; an error that it throws ends the reading.
    package func readReasoning(
        of started: StartedStep, onPage: (_ elements: [ByteBuffer]) throws(StoreError) -> Void
    ) async throws(StoreError) {
        guard started.reasoningCount > 0 else { return }
        guard started.reasoning.isEmpty else { return try onPage(started.reasoning) }
        let keys = keys(started.lease.session)
        _ = try await readPages(keys, list: keys.reasoning, in: 0..<started.reasoningCount, as: .tenant, onPage: onPage)
    }

    /// Returns messages `offset ..< offset + limit` of a history; fewer if they have more than
    /// ``StoreConfiguration/historyPageBytes``, but at least one if there is one. Nil if the
    /// session does not exist, or if it is another user's.
    public func history(
        _ session: SessionID, offset: Int, limit: Int, as requester: Requester
    ) async throws(StoreError) -> HistoryPage? {
        let keys = keys(session)
        var paging = HistoryPaging(mostMessages: configuration.historyPage, bytes: configuration.historyPageBytes)
        let commands = [RedisCommand("LLEN", keys.history), range(keys.history, from: offset, count: min(limit, paging.count))]
        guard let replies = try await read(commands, of: keys, as: requester, over: .bulk) else { return nil }
        guard replies.count == 2, let length = replies[0].intValue else {
            throw StoreError(.unexpectedReply, "unexpected reply from Redis to a look at a history")
        }
        guard length > 0 else { return nil }
        var page = HistoryPage(messages: [], length: length)
        guard offset < length else { return page }
        let end = min(length, offset + limit)
        var bytes = 0
        var next = replies[1].buffers
        while true {
            let before = page.messages.count
            for message in next.prefix(end - offset - before) {
                guard page.messages.isEmpty || bytes + message.readableBytes <= configuration.historyPageBytes else { return page }
                bytes += message.readableBytes
                page.messages.append(message)
            }
            let count = page.messages.count
            guard count > before, offset + count < end else { return page }
            paging.came(messages: next.count, bytes: next.reduce(0) { $0 + $1.readableBytes })
            next = try await elements(
                keys, list: keys.history, from: offset + count, count: min(paging.count, end - offset - count), as: requester)
        }
    }

    /// Returns the number of messages that the requester can see.
    package func historyLength(_ session: SessionID, as requester: Requester) async throws(StoreError) -> Int {
        let keys = keys(session)
        return try await read([RedisCommand("LLEN", keys.history)], of: keys, as: requester)?.first?.intValue ?? 0
    }

    /// Returns all messages of a history in `range`: those that a step has added.
    package func messages(
        _ session: SessionID, in range: Range<Int>, as requester: Requester
    ) async throws(StoreError) -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        let keys = keys(session)
        _ = try await readPages(keys, list: keys.history, in: range, as: requester) { messages += $0 }
        return messages
    }

    /// Returns how many bytes a history has, as the scripts count them; 0 if that is not known, or
    /// if the session is another user's.
    package func historyBytes(_ session: SessionID, as requester: Requester) async throws(StoreError) -> Int {
        let keys = keys(session)
        let replies = try await read([RedisCommand("HGET", keys.state, "history_bytes")], of: keys, as: requester)
        return max(0, replies?.first?.intValue ?? 0)
    }

    /// Returns the tools of a step's turn, as the session's state has them.
    package func tools(of lease: StepLease) async throws(StoreError) -> ByteBuffer? {
        let key = keys(lease.session).state
        return try await read([RedisCommand("HGET", key, "tools")], key: key, over: .bulk).first?.nonEmptyBuffer
    }

    /// Reads a part of a list, page by page.
    ///
    /// - Returns: How many elements came; fewer than `range` has if the list is shorter.
    func readPages(
        _ keys: RedisKeys, list: String, in range: Range<Int>, as requester: Requester,
        onPage: (_ elements: [ByteBuffer]) throws(StoreError) -> Void
    ) async throws(StoreError) -> Int {
        var paging = HistoryPaging(mostMessages: configuration.historyPage, bytes: configuration.historyPageBytes)
        var next = range.lowerBound
        while next < range.upperBound {
            let page = try await elements(keys, list: list, from: next, count: min(paging.count, range.upperBound - next), as: requester)
            guard !page.isEmpty else { break }
            paging.came(messages: page.count, bytes: page.reduce(0) { $0 + $1.readableBytes })
            next += page.count
            try onPage(page)
        }
        return next - range.lowerBound
    }

    private func elements(
        _ keys: RedisKeys, list: String, from offset: Int, count: Int, as requester: Requester
    ) async throws(StoreError) -> [ByteBuffer] {
        let command = range(list, from: offset, count: count)
        guard requester == .tenant else {
            return try await read([command], of: keys, as: requester, over: .bulk)?.first?.buffers ?? []
        }
        let reply = try await attempt(for: configuration.retryPatience, persistent: true) { () throws(RedisError) in
            try await self.client.route(for: keys.prefix, over: .bulk).send(command)
        }
        return reply.buffers
    }

    /// Returns the command that reads elements `offset ..< offset + count` of a list.
    private func range(_ list: String, from offset: Int, count: Int) -> RedisCommand {
        var command = RedisCommand("LRANGE", list)
        command.append(integer: Int64(offset))
        command.append(integer: Int64(offset + count - 1))
        return command
    }
}
