import JSONText
import NIOCore
import RedisClient

extension RedisSessionStore {
    /// Cuts a history to its first `length` messages while no step runs: the script `rewind`. Open
    /// calls, and entries of ledger and journal, that came of the rest go with it. The cut takes a
    /// fence of its own, so that event ids before and after it differ.
    ///
    /// - Parameters:
    ///   - session: The session.
    ///   - length: The number of messages that stay, at least 1.
    ///   - expected: The history's length as the client knows it; if it differs, nothing is cut.
    ///   - requester: In whose name the history is cut.
    public func rewind(
        _ session: SessionID, to length: Int, expected: Int? = nil, as requester: Requester
    ) async throws(StoreError) -> RewindOutcome {
        let keys = keys(session)
        let token = LeaseToken()
        // Another round follows if the session has changed between the read and the cut.
        for _ in 0..<4 {
            let view = try await look(session, as: requester)
            let present = try await historyLength(session, as: requester)
            guard present > 0 else { return .noSession }
            guard !view.isRunning else { return .busy(step: view.step) }
            if let expected, expected != present { return .historyMismatch(length: present) }
            guard length <= present else { return .tooLong(historyLength: present) }
            guard length < present else { return .rewound(historyLength: present, step: view.step) }
            let around = try await messages(session, in: length - 1..<length + 1, as: requester)
            guard around.count == 2, let kept = ChatRole(of: around[0]), let next = ChatRole(of: around[1]) else { continue }
            guard next != .tool else { return .splitsCalls }
            let cut = try await cut(keys, to: length, from: present, as: requester)
            let reply = try await send(
                RewindCall(
                    store: self, keys: keys, requester: requester, token: token, cut: cut, seenFence: view.step, seenLength: present,
                    lastRole: kept))
            switch reply[0]?.string {
            case "rewound":
                guard let now = reply[1]?.integer, let step = reply[2]?.intValue, let kept = reply[3]?.intValue else {
                    throw .unexpected(reply)
                }
                activity.note(session, of: view.subject, at: now)
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

    private func cut(
        _ keys: RedisKeys, to length: Int, from present: Int, as requester: Requester
    ) async throws(StoreError) -> HistoryCut {
        var cut = HistoryCut(length: length)
        var bytes = 0
        _ = try await readPages(keys, list: keys.history, in: length..<present, as: requester) { page in
            for message in page { bytes += message.readableBytes }
        }
        cut.bytes = bytes
        // A step's line says which messages it added. Lines stand in the order of the steps.
        for line in try await journal(keys.session, as: requester).lines.reversed() {
            guard let line = try? JSONSlice(parsing: line), let step = line["step"]?.integer,
                let bounds = line["history"]?.elements.prefix(2).compactMap(\.integer), let start = bounds.first, let end = bounds.last
            else { break }
            guard end > length else { break }
            cut.lines += 1
            // The message may have begun an earlier step, which this step took over.
            let replaced = line["replaced"]?.elements.compactMap { $0.string?.prefix { $0 != "." } }.compactMap { Int($0) } ?? []
            cut.firstStep = replaced.reduce(step, min)
            // The message that began the step stands before the step's own messages. If it stays,
            // so does its key: otherwise the same message, sent again, would be stored twice.
            cut.firstKeyStep = start > length ? cut.firstStep : step < .max ? step + 1 : step
        }
        return cut
    }

    private func send(_ call: RewindCall) async throws(StoreError) -> RedisReply {
        let evaluation = StoreScripts.rewind.call(call, on: call.keys, capacity: 512)
        return try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            try await self.client.route(for: call.keys.prefix).evaluate(evaluation)
        }
    }
}
