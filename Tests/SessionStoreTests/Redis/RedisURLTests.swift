import Testing

@testable import SessionStore

@Suite struct RedisURLTests {
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
        // 103 bytes of path, though more of URL.
        ("unix:///%20" + String(repeating: "x", count: 101), Expected(address: .unix(path: "/ " + String(repeating: "x", count: 101)))),
    ]

    @Test func readsGoodURLs() throws {
        for (url, expected) in Self.good {
            let configuration = try RedisConfiguration(url: url)
            #expect(configuration.address == expected.address, "\(url)")
            #expect(configuration.username == expected.user, "\(url)")
            #expect(configuration.password == expected.password, "\(url)")
            #expect(configuration.database == expected.database, "\(url)")
            #expect(configuration.usesTLS == expected.tls, "\(url)")
        }
    }

    @Test(arguments: [
        "", "localhost", "localhost:6379", "redis:localhost", "redis:/localhost", "://h", "http://h", "redis+tls://h", "redis://",
        "redis:///0",
        "redis://:6379", "redis://u:p@", "redis://u:p@:6379", "redis://h:", "redis://h:0", "redis://h:65536", "redis://h:-1", "redis://h:x",
        "redis://h:+1", "redis://h: 1", "redis://h:1:2", "redis://h:99999999999999999999", "redis://::1", "redis://[::1", "redis://[::1]x",
        "redis://[::1]:", "redis://[::1]:x", "redis://[]", "redis://h/x", "redis://h/-1", "redis://h/+1", "redis://h/-0", "redis://h/1/2",
        "redis://h/10000", "redis://h/1?x=y", "redis://h?db=1", "redis://a%:p@h", "redis://a%4:p@h", "redis://a%zz:p@h", "redis://a%ff:p@h",
        "unix://", "unix://run/redis.sock", "unix:///s?x=1", "unix:///s?db=", "unix:///s?db=x", "unix:///s?db=-1", "unix:///s?db=1&db=2",
        "unix:///%4", "unix:///" + String(repeating: "x", count: 103), "redis://h h", "redis://h#f",
    ]) func refusesBadURLs(url: String) throws {
        let error = #expect(throws: RedisURLError.self, "\(url)") { try RedisConfiguration(url: url) }
        #expect(error?.description.isEmpty == false)
    }

    @Test(arguments: [
        "redis://alice:s3cr3t@h:x", "redis://alice:s3cr3t@h/x", "redis://alice:s3cr3t%@h", "redis://:s3cr3t%ff@h", "redis://:s3cr3t@",
        "redis://:s3cr3t@[::1", "redis://:s3cr3t@::1", "alice:s3cr3t@h", "redis:alice:s3cr3t@h", "alice:s3cr3t@redis://h",
        "http://alice:s3cr3t@h",
        "redis://h:s3cr3t", "unix:///s?password=s3cr3t", "redis://h/s3cr3t",
    ]) func anErrorNeverHoldsThePassword(url: String) throws {
        let error = try #require(throws: RedisURLError.self) { try RedisConfiguration(url: url) }
        #expect(!"\(error) \(String(reflecting: error))".contains("s3cr3t"))
    }

    @Test func aDescriptionNeverHoldsThePassword() throws {
        for url in ["redis://alice:s3cr3t@h:1/2", "rediss://:s3cr3t@h:1/2"] {
            let configuration = try RedisConfiguration(url: url)
            #expect(!"\(configuration) \(String(reflecting: configuration))".contains("s3cr3t"))
            #expect("\(configuration)" == "\(url.prefix { $0 != ":" })://h:1/2")
        }
        #expect("\(try RedisConfiguration(url: "redis://[::1]:7"))" == "redis://[::1]:7/0")
        #expect("\(try RedisConfiguration(url: "unix:///run/r.sock?db=3"))" == "unix:///run/r.sock?db=3")
        #expect("\(try RedisConfiguration(url: "unix:///run/r.sock"))" == "unix:///run/r.sock")
    }
}
