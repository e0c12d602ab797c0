import TestSupport
import Testing

@testable import RedisClient

@Suite("Redis authentication", .tags(.redis), .serialized)
struct RedisAuthenticationTests {
    let redis: RedisServer

    init() async throws {
        redis = try await RedisServer.start()
        try redis.cli("ACL", "SETUSER", "alice", "on", ">p@ss:w/rd", "~*", "&*", "+@all")
        try redis.cli("ACL", "SETUSER", "reader", "on", ">readonly", "~*", "+get", "+ping")
    }

    func open(_ credentials: String, _ log: LogCollector = LogCollector()) throws -> RedisConnection {
        .open(try RedisConfiguration(url: "redis://\(credentials)127.0.0.1:\(redis.port)/3"), logger: log.logger)
    }

    @Test("A connection authenticates with user and password")
    func authenticatesWithUserAndPassword() async throws {
        let connection = try await open("alice:p%40ss%3Aw%2Frd@").ready()
        defer { connection.shutDown() }
        #expect(try await connection.send(RedisCommand("ACL", "WHOAMI")).string == "alice")
        #expect(try await connection.send(RedisCommand("CLIENT", "INFO")).string?.contains(" db=3 ") == true)
        try await redis.kill()
    }

    @Test("A password alone authenticates the default user")
    func authenticatesTheDefaultUserWithThePasswordAlone() async throws {
        try redis.cli("CONFIG", "SET", "requirepass", "s3cr3t")
        let connection = try await open(":s3cr3t@").ready()
        defer { connection.shutDown() }
        #expect(try await connection.send(RedisCommand("ACL", "WHOAMI")).string == "default")
        try await redis.kill()
    }

    @Test(
        "Wrong credentials fail without showing the password",
        arguments: ["alice:wr0ng-s3cr3t@", "nobody:wr0ng-s3cr3t@", ":wr0ng-s3cr3t@", ""]
    )
    func wrongCredentialsFailWithoutGivingThePasswordAway(credentials: String) async throws {
        try redis.cli("CONFIG", "SET", "requirepass", "s3cr3t")
        let log = LogCollector()
        let connection = try open(credentials, log)
        defer { connection.shutDown() }
        for _ in 0..<5 {
            let error = try await within(.seconds(10), "a refusal") { try await connection.failure("GET", "k") }
            #expect(error.code == .connectionFailed)
            #expect(!error.mayHaveBeenApplied)
            #expect(error.message.contains(credentials.isEmpty ? "NOAUTH" : "WRONGPASS"))
            #expect(!"\(error) \(String(reflecting: error))".contains("s3cr3t"))
        }
        #expect(!connection.isReady && connection.generation == 0)
        #expect(log.text.contains("connection lost"))
        #expect(!log.text.contains("s3cr3t"))
        // The client logs the refusal once, not at each attempt. The handshake's other replies do
        // not count as unexpected.
        #expect(log.text.split(separator: "\n").count == 1, "\(log.text)")
        try await redis.kill()
    }

    /// The user may not even set the connection's name.
    @Test("A user with few rights can use the rights it has")
    func aUserWithFewRightsMayDoWhatItMay() async throws {
        let configuration = try RedisConfiguration(url: "redis://reader:readonly@127.0.0.1:\(redis.port)")
        let connection = try await RedisConnection.open(configuration).ready()
        defer { connection.shutDown() }
        #expect(try await connection.send(RedisCommand("GET", "k")).isNull)
        let error = try await connection.failure("SET", "k", "v")
        #expect(error.code == .notPermitted && !error.mayHaveBeenApplied)
        #expect(try await connection.failure("EVAL", "return 1", "0").code == .notPermitted)
        #expect(connection.generation == 1)
        try await redis.kill()
    }

    @Test("A missing database is an error")
    func aDatabaseThatIsNotThereIsAnError() async throws {
        let connection = RedisConnection.open(try RedisConfiguration(url: "redis://127.0.0.1:\(redis.port)/99"))
        defer { connection.shutDown() }
        let error = try await connection.failure("GET", "k")
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("DB index is out of range"))
        try await redis.kill()
    }
}
