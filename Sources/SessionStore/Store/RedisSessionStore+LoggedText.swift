public import NIOCore

extension RedisSessionStore {
    /// The text of a step, as far as the log has it. Once the step's lease was taken it can no longer change.
    ///
    /// - Parameter step: Where it was itself taken over to be ended, it has said nothing, and the text is that of the step before.
    public func loggedText(_ session: SessionID, step: Int) async throws(StoreError) -> ByteBuffer {
        let key = RedisKeys(session).events
        let speaker = try await speaker(of: step, key: key)
        var text = ByteBuffer()
        var place = "\(speaker)-0"
        while true {
            let reply = try await read(RedisCommand("XRANGE", key, "(" + place, "\(speaker)", "COUNT", "256"), key: key)
            var last: LogEntry?
            reply.forEachElement { element in
                last = LogEntry(reply: element)
                for (name, value) in last?.fields ?? [] where name == LoggedEvents.Name.token.rawValue { text.writeImmutableBuffer(value) }
            }
            guard let last else { return text }
            place = "\(speaker)-\(last.lastSequence)"
        }
    }

    /// The step that ran: goes back over those that were only to end the one before, and did not come to it.
    private func speaker(of step: Int, key: String) async throws(StoreError) -> Int {
        var step = step
        while true {
            let reply = try await read(RedisCommand("XRANGE", key, "\(step)-0", "\(step)-0"), key: key)
            guard let opening = reply[0].flatMap({ LogEntry(reply: $0) }), opening.opening("restart") == nil,
                let replaced = opening.opening("replaces").flatMap({ Int(String(buffer: $0)) }), replaced < step
            else { return step }
            step = replaced
        }
    }
}
