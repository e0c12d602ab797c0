package import NIOCore
import RedisClient

extension RedisSessionStore {
    /// Returns the text of a step, as far as the log has it. Once the step's lease was taken, it
    /// can no longer change.
    ///
    /// - Parameters:
    ///   - lease: The lease of the step that ends it.
    ///   - step: If it was itself taken over to be ended, it has no text, and the text is
    ///   that of the step before.
    package func loggedText(of lease: StepLease, step: Int) async throws(StoreError) -> ByteBuffer {
        let key = keys(lease.session).events
        let speaker = try await speaker(of: step, key: key)
        var text = ByteBuffer()
        var seen = 0
        while true {
            let replies = try await read(
                [RedisCommand("XRANGE", key, "(\(speaker)-\(seen)", "\(speaker)", "COUNT", "256")], key: key, over: .bulk)
            guard let reply = replies.first, reply.count > 0 else { return text }
            let before = seen
            reply.forEachElement { element in
                guard let entry = LogEntry(reply: element) else { return }
                // A batch whose reply was lost is sent again with the next one, so that an entry
                // may begin with events that another has.
                let known = max(0, seen - (entry.lastSequence - entry.fields.count))
                for (name, value) in entry.fields.dropFirst(known) where name == LoggedEvents.Field.token.rawValue {
                    text.writeImmutableBuffer(value)
                }
                seen = max(seen, entry.lastSequence)
            }
            guard seen > before else { throw .unexpected(reply) }
        }
    }

    /// Returns the step that ran. It goes back over steps that were only to end the one before, and
    /// failed to.
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
