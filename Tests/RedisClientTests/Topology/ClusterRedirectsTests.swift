import TestSupport
import Testing

@testable import RedisClient

@Suite("Cluster redirections")
struct ClusterRedirectsTests {
    private func next(_ redirects: inout ClusterRedirects, _ error: String) -> ClusterRedirects.Action {
        redirects.next(after: [.failure(RedisError(reply: error))], to: [RedisCommand("GET", "k")], asked: .node(0))
    }

    /// Returns the decision about a read of a session whose commands got these replies: errors, or
    /// `ok`.
    private func next(_ commands: [RedisCommand], _ answers: String...) throws -> ClusterRedirects.Action {
        var redirects = ClusterRedirects()
        let results = try answers.map { answer throws -> Result<RedisReply, RedisError> in
            answer == "ok" ? .success(try RedisReply(resp: "+OK")) : .failure(RedisError(reply: answer))
        }
        return redirects.next(after: results, to: commands, asked: .node(0))
    }

    private static let look = [RedisCommand("HMGET", "{s}:state"), RedisCommand("TIME"), RedisCommand("XRANGE", "{s}:events")]
    private static let transaction = [
        RedisCommand("MULTI"), RedisCommand("HGETALL", "{s}:state"), RedisCommand("LLEN", "{s}:history"), RedisCommand("EXEC"),
    ]
    private static let write = [RedisCommand("EVALSHA", "0a1b", "1", "{s}:state"), RedisCommand("LRANGE", "{s}:history")]

    /// On its former node, a key that has moved looks like a key that never existed.
    @Test("Replies that were partly redirected are not used")
    func answersOfWhichSomeWereRedirectedAreNotUsed() throws {
        let (ask, moved) = ("ASK 1 n1:7001", "MOVED 1 n1:7001")
        #expect(try next(Self.look, "ok", "ok", "ok") == .giveUp)
        #expect(try next(Self.look, "ok", "ok", ask) == .wait(mayHaveBeenApplied: true))
        #expect(try next(Self.look, ask, "ok", "ok") == .wait(mayHaveBeenApplied: true))
        // Every node replies to TIME.
        #expect(try next(Self.look, ask, "ok", ask) == .ask(.node(1)))
        #expect(try next(Self.look, moved, "ok", moved) == .move(slot: 1, to: .node(1)))
        // Meanwhile the whole slot has moved.
        #expect(try next(Self.look, ask, "ok", "MOVED 1 n2:7002") == .move(slot: 1, to: .node(2)))
        #expect(try next(Self.look, moved, "ok", "ASK 1 n2:7002") == .move(slot: 1, to: .node(1)))
        #expect(try next(Self.transaction, "ok", ask, ask, "EXECABORT x") == .ask(.node(1)))
        #expect(try next(Self.transaction, "ok", "ok", ask, "EXECABORT x") == .wait(mayHaveBeenApplied: true))
        #expect(try next(Self.look, "TRYAGAIN x", "ok", "TRYAGAIN x") == .giveUp)
    }

    /// After a script has run, no reply proves that the script wrote nothing.
    @Test("A script that ran before the redirection may have been applied")
    func whatRanBeforeTheRedirectionMayHaveBeenApplied() throws {
        #expect(try next(Self.write, "ok", "MOVED 1 n1:7001") == .wait(mayHaveBeenApplied: true))
        #expect(try next(Self.write, "ERR x script: 0a1b", "ASK 1 n1:7001") == .wait(mayHaveBeenApplied: true))
        #expect(try next(Self.write, "TRYAGAIN x", "ASK 1 n1:7001") == .wait(mayHaveBeenApplied: false))
        #expect(try next(Self.write, "NOSCRIPT x", "MOVED 1 n1:7001") == .wait(mayHaveBeenApplied: false))
        #expect(try next([Self.write[0], RedisCommand("WAIT", "1", "5")], "MOVED 1 n1:7001", "ok") == .move(slot: 1, to: .node(1)))
    }

    @Test("Redirections are followed")
    func redirectionsAreFollowed() {
        var redirects = ClusterRedirects()
        #expect(next(&redirects, "MOVED 3999 n1:7001") == .move(slot: 3999, to: .node(1)))
        #expect(next(&redirects, "ASK 3999 n2:7002") == .ask(.node(2)))
        #expect(next(&redirects, "MOVED 3999 :7005") == .move(slot: 3999, to: .tcp(host: "n0", port: 7005)))
    }

    @Test("Other errors go to the caller", arguments: ["TRYAGAIN x", "CLUSTERDOWN x", "ERR x", "READONLY x", "MOVED x", "ASK 1 nowhere"])
    func otherErrorsAreTheCallers(error: String) {
        var redirects = ClusterRedirects()
        #expect(next(&redirects, error) == .giveUp)
    }

    @Test("Contradicting nodes are followed a bounded number of times")
    func nodesThatContradictEachOtherAreNotFollowedForEver() {
        var redirects = ClusterRedirects()
        for _ in 0..<ClusterRedirects.limit { #expect(next(&redirects, "MOVED 1 n1:7001") != .giveUp) }
        #expect(next(&redirects, "MOVED 1 n1:7001") == .giveUp)
        #expect(next(&redirects, "ASK 1 n1:7001") == .giveUp)
    }

    @Test("ASKING precedes each command and a transaction")
    func askingGoesBeforeEachCommandAndBeforeATransaction() {
        let commands = [
            RedisCommand("GET", "k"), RedisCommand("MULTI"), RedisCommand("GET", "k"), RedisCommand("LLEN", "l"), RedisCommand("EXEC"),
            RedisCommand("WAIT", "1", "5"),
        ]
        let asking = ClusterRedirects.asking(commands).map(\.name)
        #expect(asking == ["ASKING", "GET", "ASKING", "MULTI", "GET", "LLEN", "EXEC", "ASKING", "WAIT"])
        #expect(ClusterRedirects.withoutAsking(asking, to: commands) == commands.map(\.name))
    }
}
