import TestSupport
import Testing

@testable import RedisClient

@Suite("Redis URLs")
struct RedisURLTests {
    struct Expected: Sendable {
        var address: RedisConfiguration.Address
        var user: String?
        var password: String?
        var database = 0
        var tls = false
    }

    static let good: [(url: String, expected: Expected)] = [
        ("redis://localhost", Expected(address: .tcp(host: "localhost", port: 6379))),
        ("redis://localhost/", Expected(address: .tcp(host: "localhost", port: 6379))),
        ("REDIS://h:1/15", Expected(address: .tcp(host: "h", port: 1), database: 15)),
        ("rediss://redis.example.com:65535", Expected(address: .tcp(host: "redis.example.com", port: 65535), tls: true)),
        ("redis://:secret@h", Expected(address: .tcp(host: "h", port: 6379), password: "secret")),
        ("redis://alice:secret@h:7/2", Expected(address: .tcp(host: "h", port: 7), user: "alice", password: "secret", database: 2)),
        ("redis://alice@h", Expected(address: .tcp(host: "h", port: 6379), user: "alice")),
        ("redis://a%40b:p%2Fw%3A%25%C3%BC@h", Expected(address: .tcp(host: "h", port: 6379), user: "a@b", password: "p/w:%ü")),
        ("redis://:p@ss:w/rd@h:1", Expected(address: .tcp(host: "h", port: 1), password: "p@ss:w/rd")),
        ("redis://alice:@h", Expected(address: .tcp(host: "h", port: 6379), user: "alice", password: "")),
        ("redis://[::1]", Expected(address: .tcp(host: "::1", port: 6379))),
        (
            "rediss://u:p@[2001:db8::7]:6380/3",
            Expected(address: .tcp(host: "2001:db8::7", port: 6380), user: "u", password: "p", database: 3, tls: true)
        ),
        ("unix:///run/redis.sock", Expected(address: .unix(path: "/run/redis.sock"))),
        ("unix:///run/redis.sock?db=4", Expected(address: .unix(path: "/run/redis.sock"), database: 4)),
        ("unix:///with%20space/%3F.sock", Expected(address: .unix(path: "/with space/?.sock"))),
        ("unix:///" + String(repeating: "x", count: 102), Expected(address: .unix(path: "/" + String(repeating: "x", count: 102)))),
        // The path has 103 bytes, although the URL is longer.
        ("unix:///%20" + String(repeating: "x", count: 101), Expected(address: .unix(path: "/ " + String(repeating: "x", count: 101)))),
    ]

    @Test("Valid URLs are read")
    func readsGoodURLs() throws {
        for (url, expected) in Self.good {
            let configuration = try RedisConfiguration(url: url)
            #expect(configuration.address == expected.address, "\(url)")
            #expect(configuration.username == expected.user, "\(url)")
            #expect(configuration.password == expected.password, "\(url)")
            #expect(configuration.database == expected.database, "\(url)")
            #expect(configuration.usesTLS == expected.tls, "\(url)")
        }
    }

    @Test(
        "Invalid URLs are refused",
        arguments: [
            "", "localhost", "localhost:6379", "redis:localhost", "redis:/localhost", "://h", "http://h", "redis+tls://h", "redis://",
            "redis:///0",
            "redis://:6379", "redis://u:p@", "redis://u:p@:6379", "redis://h:", "redis://h:0", "redis://h:65536", "redis://h:-1",
            "redis://h:x",
            "redis://h:+1", "redis://h: 1", "redis://h:1:2", "redis://h:99999999999999999999", "redis://::1", "redis://[::1",
            "redis://[::1]x",
            "redis://[::1]:", "redis://[::1]:x", "redis://[]", "redis://h/x", "redis://h/-1", "redis://h/+1", "redis://h/-0",
            "redis://h/1/2",
            "redis://h/10000", "redis://h/1?x=y", "redis://h?db=1", "redis://a%:p@h", "redis://a%4:p@h", "redis://a%zz:p@h",
            "redis://a%ff:p@h",
            "unix://", "unix://run/redis.sock", "unix:///s?x=1", "unix:///s?db=", "unix:///s?db=x", "unix:///s?db=-1",
            "unix:///s?db=1&db=2",
            "redis-sentinel://h", "redis-sentinel://h/", "redis-sentinel://h//1", "redis-sentinel:///m", "redis-sentinel://h,/m",
            "redis-sentinel://h,:1/m", "redis-sentinel://h:x/m", "redis-sentinel://h/m/x", "redis-sentinel://h/m?db=1",
            "redis-sentinel://h/m?sentinel_password", "redis-sentinel://h/m?", "redis-sentinel://h/m?sentinel_username=u",
            "redis-sentinel://h/m%", "redis-sentinel://h/m?sentinel_password=%zz", "redis-cluster://", "redis-cluster://h/1",
            "redis-cluster://h,",
            "redis-cluster://h:0", "redis-cluster://h?x=y", "sentinel://h/m", "redis-sentinels://h/m",
            "redis-cluster://" + (0..<65).map { "h\($0)" }.joined(separator: ","), "unix:///%4",
            "unix:///" + String(repeating: "x", count: 103), "redis://h h", "redis://h#f",
        ]
    )
    func refusesBadURLs(url: String) throws {
        let error = #expect(throws: RedisURLError.self, "\(url)") { try RedisConfiguration(url: url) }
        #expect(error?.description.isEmpty == false)
    }

    @Test(
        "An error never shows the password",
        arguments: [
            "redis://alice:s3cr3t@h:x", "redis://alice:s3cr3t@h/x", "redis://alice:s3cr3t%@h", "redis://:s3cr3t%ff@h", "redis://:s3cr3t@",
            "redis://:s3cr3t@[::1", "redis://:s3cr3t@::1", "alice:s3cr3t@h", "redis:alice:s3cr3t@h", "alice:s3cr3t@redis://h",
            "http://alice:s3cr3t@h",
            "redis-sentinel://:s3cr3t@h", "redis-sentinel://:s3cr3t@h:x/m", "redis-sentinel://h/m?sentinel_password=s3cr3t&x=1",
            "redis-sentinel://h/m?sentinel_pasword=s3cr3t", "redis-sentinel://:s3?cr3t@h/m", "redis-cluster://:s3cr3t@h/1",
            "redis-cluster://:s3cr3t@h:x", "redis-sentinel://h/m?sentinel_password=s3cr3t%", "redis://h:s3cr3t",
            "unix:///s?password=s3cr3t",
            "redis://h/s3cr3t",
        ]
    )
    func anErrorNeverHoldsThePassword(url: String) throws {
        let error = try #require(throws: RedisURLError.self) { try RedisConfiguration(url: url) }
        #expect(!"\(error) \(String(reflecting: error))".contains("s3cr3t"))
    }

    @Test("A description never shows the password")
    func aDescriptionNeverHoldsThePassword() throws {
        for url in ["redis://alice:s3cr3t@h:1/2", "rediss://:s3cr3t@h:1/2"] {
            let configuration = try RedisConfiguration(url: url)
            #expect(!"\(configuration) \(String(reflecting: configuration))".contains("s3cr3t"))
            #expect("\(configuration)" == "\(url.prefix { $0 != ":" })://h:1/2")
        }
        for url in [
            "redis-sentinel://alice:s3cr3t@h:1,i:2/m/3?sentinel_username=bob&sentinel_password=s3cr3t",
            "rediss-cluster://:s3cr3t@h:1,[::1]:2",
        ] {
            let configuration = try RedisConfiguration(url: url)
            #expect(!"\(configuration) \(String(reflecting: configuration)) \(configuration.topology)".contains("s3cr3t"))
            #expect(!"\(configuration.server(at: .tcp(host: "h", port: 1)))".contains("s3cr3t"))
        }
        #expect("\(try RedisConfiguration(url: "redis-sentinel://u:p@h:1,i/m/3"))" == "redis-sentinel://h:1,i:26379/m/3")
        #expect("\(try RedisConfiguration(url: "rediss-cluster://h,[::1]:2"))" == "rediss-cluster://h:6379,[::1]:2")
        #expect("\(try RedisConfiguration(url: "redis://[::1]:7"))" == "redis://[::1]:7/0")
        #expect("\(try RedisConfiguration(url: "unix:///run/r.sock?db=3"))" == "unix:///run/r.sock?db=3")
        #expect("\(try RedisConfiguration(url: "unix:///run/r.sock"))" == "unix:///run/r.sock")
    }

    // MARK: Topologies

    @Test("Sentinel addresses are read")
    func readsWhereTheSentinelsAre() throws {
        let plain = try RedisConfiguration(url: "redis-sentinel://h1,h2:7,[::1]/my%20master")
        let addresses: [RedisConfiguration.Address] = [
            .tcp(host: "h1", port: 26379), .tcp(host: "h2", port: 7), .tcp(host: "::1", port: 26379),
        ]
        #expect(plain.topology == .sentinel(SentinelGroup(masterName: "my master", sentinels: addresses)))
        #expect(plain.username == nil && plain.password == nil && plain.database == 0 && !plain.usesTLS)

        let full = try RedisConfiguration(
            url: "rediss-sentinel://a:p%40@h:1,h:1/m/4?sentinel_username=s&sentinel_password=q%26%3D")
        guard case .sentinel(let group) = full.topology else { throw Unexpected(description: "sentinels") }
        #expect(group.sentinels == [.tcp(host: "h", port: 1)] && group.username == "s" && group.password == "q&=")
        #expect(full.username == "a" && full.password == "p@" && full.database == 4 && full.usesTLS)
        // A sentinel does not get the user and password of the servers.
        let sentinel = group.configuration(of: full, sentinel: .tcp(host: "h", port: 1))
        #expect(sentinel.username == "s" && sentinel.password == "q&=" && sentinel.database == 0 && sentinel.usesTLS)
        let none = SentinelGroup(masterName: "m", sentinels: addresses).configuration(of: full, sentinel: addresses[0])
        #expect(none.username == nil && none.password == nil)
    }

    @Test("Cluster nodes are read")
    func readsTheNodesOfACluster() throws {
        let cluster = try RedisConfiguration(url: "redis-cluster://a:p@h1:7,h2/")
        #expect(cluster.topology == .cluster(seeds: [.tcp(host: "h1", port: 7), .tcp(host: "h2", port: 6379)]))
        #expect(cluster.username == "a" && cluster.password == "p" && !cluster.usesTLS)
        #expect(try RedisConfiguration(url: "rediss-cluster://h").usesTLS)
    }

    @Test(
        "The error names the wrong part",
        arguments: [
            ("redis-sentinel://h", "name"), ("redis-sentinel://h:x/m", "port"), ("redis-sentinel://h/m/x", "database"),
            ("redis-sentinel://h/m?x=1", "sentinel_password"), ("redis-sentinel://,h/m", "host"), ("redis-sentinel://%:p@h/m", "user"),
            ("redis-cluster://h/3", "database"), ("redis-cluster://:%@h", "password"), ("redis-nodes://h", "redis-cluster"),
        ]
    )
    func theErrorNamesThePart(url: String, part: String) throws {
        let error = try #require(throws: RedisURLError.self) { try RedisConfiguration(url: url) }
        #expect("\(error)".contains(part), "\(error)")
    }
}
