import RedisClient
import TestSupport

@testable import SessionStore

/// All data of a session in Redis.
struct SessionDump: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        var id: String
        /// Name, value, name, value …
        var fields: [String]
    }

    var history: [String] = []
    var state: [String: String] = [:]
    var pending: [String: String] = [:]
    var ledger: [String: String] = [:]
    var events: [Entry] = []
    var steps: [String] = []
    /// The expiry of each key, by the key's last part: milliseconds since 1970, or -1 for never.
    /// Missing keys are omitted.
    var expiry: [String: Int64] = [:]

    var isEmpty: Bool { self == SessionDump() }
    /// The expiry times of the keys. If there are several, I8 is violated.
    var expiryTimes: Set<Int64> { Set(expiry.values) }
}

extension ScriptSession {
    func dump() async throws -> SessionDump { try await keys.dump(on: connection) }
}

extension RedisKeys {
    func dump(on connection: RedisConnection) async throws -> SessionDump {
        let reads = [
            RedisCommand("LRANGE", history, "0", "-1"), RedisCommand("HGETALL", state), RedisCommand("HGETALL", pending),
            RedisCommand("HGETALL", ledger), RedisCommand("XRANGE", events, "-", "+"), RedisCommand("LRANGE", steps, "0", "-1"),
        ]
        let results = try await connection.send(
            pipeline: [RedisCommand("MULTI")] + reads + all.map { RedisCommand("PEXPIRETIME", $0) } + [RedisCommand("EXEC")])
        guard case .success(let replies)? = results.last, replies.count == 6 + all.count else {
            throw StoreError(.unexpectedReply, "no dump of \(session): \(results)")
        }
        var dump = SessionDump()
        dump.history = replies[0]?.plainList ?? []
        dump.state = replies[1]?.plainDictionary ?? [:]
        dump.pending = replies[2]?.plainDictionary ?? [:]
        dump.ledger = replies[3]?.plainDictionary ?? [:]
        replies[4]?.forEachElement { entry in
            dump.events.append(SessionDump.Entry(id: entry[0]?.string ?? "", fields: entry[1]?.plainList ?? []))
        }
        dump.steps = replies[5]?.plainList ?? []
        for (index, key) in all.enumerated() {
            guard let time = replies[6 + index]?.integer, time != -2 else { continue }
            dump.expiry[String(key.split(separator: ":").last ?? "")] = time
        }
        return dump
    }
}
