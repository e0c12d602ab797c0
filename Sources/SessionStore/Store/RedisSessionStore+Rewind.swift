import JSONText
import NIOCore
import RedisClient

extension RedisSessionStore {
    /// Cuts a history to its first `length` messages while no step runs, with the open calls, and the entries of ledger and
    /// journal, that came of the rest: the script `rewind`. The cut takes a fence of its own, so that event ids before and after
    /// it are told apart.
    ///
    /// - Parameters:
    ///   - length: At least 1.
    ///   - expected: The history's length as the client knows it; nothing is cut where it differs.
    public func rewind(_ session: SessionID, to length: Int, expected: Int? = nil) async throws(StoreError) -> RewindOutcome {
        let keys = RedisKeys(session)
        let token = LeaseToken()
        // Another round where the session has changed between the look and the cut.
        for _ in 0..<4 {
            let view = try await look(session)
            let present = try await read(RedisCommand("LLEN", keys.history), key: keys.history).intValue ?? 0
            guard present > 0 else { return .noSession }
            guard !view.isRunning else { return .busy(step: view.step) }
            if let expected, expected != present { return .historyMismatch(length: present) }
            guard length <= present else { return .tooLong(historyLength: present) }
            guard length < present else { return .rewound(historyLength: present, step: view.step) }
            let around = try await messages(session, in: length - 1..<length + 1)
            guard around.count == 2, let kept = ChatRole(of: around[0]), let next = ChatRole(of: around[1]) else { continue }
            guard next != .tool else { return .splitsCalls }
            let cut = try await cut(keys, to: length, from: present)
            let reply = try await send(cut, keys: keys, fence: view.step, from: present, last: kept, token: token)
            switch reply[0]?.string {
            case "rewound":
                guard let now = reply[1]?.integer, let step = reply[2]?.intValue, let kept = reply[3]?.intValue else {
                    throw .unexpected(reply)
                }
                activity.note(session, at: now)
                return .rewound(historyLength: kept, step: step)
            case "busy": return .busy(step: reply[2]?.intValue ?? 0)
            case "none": return .noSession
            case "newer": throw .newerLayout(reply[2]?.intValue ?? 0)
            case "moved": continue
            default: throw .unexpected(reply)
            }
        }
        throw StoreError(.unavailable, "the session changes faster than its history can be cut")
    }

    /// What a rewind takes away.
    private struct Cut {
        var length: Int
        var bytes = 0
        /// Of the journal.
        var lines = 0
        /// The first step of which nothing is left; nil for none.
        var firstStep: Int?
        /// The first step whose message goes, too.
        var firstKeyStep: Int?
    }

    private func cut(_ keys: RedisKeys, to length: Int, from present: Int) async throws(StoreError) -> Cut {
        var cut = Cut(length: length)
        var bytes = 0
        _ = try await readPages(keys, list: keys.history, in: length..<present) { page in
            for message in page { bytes += message.readableBytes }
        }
        cut.bytes = bytes
        // A step's line says which messages it added. Lines stand in the order of the steps.
        for line in try await journal(keys.session).lines.reversed() {
            guard let line = try? JSONSlice(parsing: line), let step = line["step"]?.integer,
                let bounds = line["history"]?.elements.prefix(2).compactMap(\.integer), let start = bounds.first, let end = bounds.last
            else { break }
            guard end > length else { break }
            cut.lines += 1
            // The message may have begun a step that this one took over.
            let replaced = line["replaced"]?.elements.compactMap { $0.string?.prefix { $0 != "." } }.compactMap { Int($0) } ?? []
            cut.firstStep = replaced.reduce(step, min)
            // What the step answers stands before its own messages. Where that stays, so does its key: sent again it would be stored twice.
            cut.firstKeyStep = start > length ? cut.firstStep : step < .max ? step + 1 : step
        }
        return cut
    }

    private func send(
        _ cut: Cut, keys: RedisKeys, fence: Int, from present: Int, last: ChatRole, token: LeaseToken
    ) async throws(StoreError) -> RedisReply {
        var call = RedisScriptCall(StoreScripts.rewind, keys: keys, capacity: 512)
        call.append(token.text)
        call.append(token.nonce)
        call.append(configuration.replica)
        call.append(integer: ttlMilliseconds)
        call.append(integer: Int64(fence))
        call.append(integer: Int64(present))
        call.append(integer: Int64(cut.length))
        call.append(integer: Int64(cut.bytes))
        call.append(last.rawValue)
        call.append(integer: Int64(cut.lines))
        call.append(integer: Int64(cut.firstStep ?? 0))
        call.append(journalLine(cut, from: present, token: token))
        call.append(integer: Int64(configuration.journalBound))
        call.append(publish)
        call.append(keys.prefix, "wake")
        call.append(integer: Int64(RedisLayout.known))
        call.append(integer: Int64(cut.firstKeyStep ?? 0))
        return try await attempt(for: configuration.retryPatience) { [call] () throws(RedisError) in
            try await self.client.route(for: keys.prefix).evaluate(call)
        }
    }

    /// The cut as a step: one that ended without a word. The script writes its number.
    private func journalLine(_ cut: Cut, from present: Int, token: LeaseToken) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"step":0,"status":"cancelled","owner":"#)
        json.writeJSONString(configuration.replica)
        json.writeStaticString(#","nonce":"#)
        json.writeJSONString(token.nonce)
        json.writeStaticString(#","history":["#)
        json.writeDecimal(cut.length)
        json.writeStaticString(",")
        json.writeDecimal(cut.length)
        json.writeStaticString(#"],"rewound_from":"#)
        json.writeDecimal(present)
        json.writeStaticString("}")
        return json
    }
}
