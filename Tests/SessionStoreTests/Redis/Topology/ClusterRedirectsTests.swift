import Testing

@testable import SessionStore

@Suite struct ClusterRedirectsTests {
    private func next(_ redirects: inout ClusterRedirects, _ error: String) -> ClusterRedirects.Action {
        redirects.next(after: RedisError(reply: error), asked: .node(0))
    }

    @Test func redirectionsAreFollowed() {
        var redirects = ClusterRedirects()
        #expect(next(&redirects, "MOVED 3999 n1:7001") == .move(slot: 3999, to: .node(1)))
        #expect(next(&redirects, "ASK 3999 n2:7002") == .ask(.node(2)))
        #expect(next(&redirects, "MOVED 3999 :7005") == .move(slot: 3999, to: .tcp(host: "n0", port: 7005)))
    }

    @Test(arguments: ["TRYAGAIN x", "CLUSTERDOWN x", "ERR x", "READONLY x", "MOVED x", "ASK 1 nowhere"])
    func otherErrorsAreTheCallers(error: String) {
        var redirects = ClusterRedirects()
        #expect(next(&redirects, error) == .giveUp)
    }

    @Test func nodesThatContradictEachOtherAreNotFollowedForEver() {
        var redirects = ClusterRedirects()
        for _ in 0..<ClusterRedirects.limit { #expect(next(&redirects, "MOVED 1 n1:7001") != .giveUp) }
        #expect(next(&redirects, "MOVED 1 n1:7001") == .giveUp)
        #expect(next(&redirects, "ASK 1 n1:7001") == .giveUp)
    }

    @Test func askingGoesBeforeEachCommandAndBeforeATransaction() {
        let commands = [
            RedisCommand("GET", "k"), RedisCommand("MULTI"), RedisCommand("GET", "k"), RedisCommand("LLEN", "l"), RedisCommand("EXEC"),
            RedisCommand("WAIT", "1", "5"),
        ]
        let asking = ClusterRedirects.asking(commands).map(\.name)
        #expect(asking == ["ASKING", "GET", "ASKING", "MULTI", "GET", "LLEN", "EXEC", "ASKING", "WAIT"])
        #expect(ClusterRedirects.withoutAsking(asking, to: commands) == commands.map(\.name))
    }

    @Test func theFirstRedirectionDecides() {
        let results: [Result<RedisReply, RedisError>] = [
            .failure(RedisError(reply: "ERR x")), .failure(RedisError(reply: "ASK 1 n1:7001")),
            .failure(RedisError(reply: "MOVED 1 n2:7002")),
        ]
        #expect(ClusterRedirects.redirection(in: results)?.code == .ask(slot: 1, host: "n1", port: 7001))
        #expect(ClusterRedirects.redirection(in: [results[0]]) == nil)
    }
}
