import RedisClient
import Testing

@testable import SessionStore

@Suite("Requirements on Redis")
struct RedisRequirementsTests {
    @Test(
        "A server's version, limit and policy are checked",
        arguments: [
            ("7.0.15", 0, "allkeys-lru", [RedisShortcoming.Kind]()), ("7.2.4", 100, "noeviction", []), ("10.0.0", 0, "noeviction", []),
            ("6.2.14", 0, "noeviction", [.tooOld]), ("5.0", 100, "volatile-ttl", [.tooOld, .mayEvict]),
            ("7.0.0", 1, "allkeys-lfu", [.mayEvict]),
            ("strange", 0, "", []),
        ]
    )
    func aServerIsHeldAgainstWhatIsNeeded(version: String, limit: Int, policy: String, expected: [RedisShortcoming.Kind]) {
        let info = ["# Server\r\nredis_version:\(version)\r\n", "# Memory\r\nmaxmemory:\(limit)\r\nmaxmemory_policy:\(policy)\r\n"]
        let found = RedisRequirements.shortcomings(info)
        #expect(found.map(\.kind) == expected)
        for shortcoming in found { #expect(shortcoming.description.contains(shortcoming.kind == .tooOld ? version : policy)) }
    }

    @Test(
        "A URL that does not fit the server gets a hint",
        arguments: [
            ("standalone", RedisConfiguration.Topology.single, ""), ("cluster", .single, "redis-cluster://"),
            ("sentinel", .single, "redis-sentinel://"), ("cluster", .cluster(seeds: []), ""),
            ("standalone", .sentinel(SentinelGroup(masterName: "m", sentinels: [])), ""),
        ]
    )
    func aURLThatDoesNotFitTheServerIsNamed(mode: String, topology: RedisConfiguration.Topology, hint: String) {
        let found = RedisRequirements.shortcomings(["# Server\r\nredis_version:7.0.15\r\nredis_mode:\(mode)\r\n"], topology: topology)
        #expect(found.map(\.kind) == (hint.isEmpty ? [] : [.otherTopology]))
        #expect(found.allSatisfy { $0.description.contains(hint) })
    }

    @Test("Missing information is not held against a server")
    func whatIsNotSaidIsNotHeldAgainstIt() {
        #expect(RedisRequirements.shortcomings([]).isEmpty)
        #expect(RedisRequirements.shortcomings(["maxmemory_policy:allkeys-lru"]).isEmpty)
    }
}
