import Foundation
import TestSupport
import Testing

@testable import RedisClient

@Suite("TLS to Redis", .tags(.processes), .serialized)
struct RedisTLSTests {
    /// Starts a server with a certificate for these names, and returns its TLS port.
    static func server(_ certificates: Certificates, for names: String) async throws -> (redis: RedisServer, port: Int) {
        let port = try freePort()
        return (try await RedisServer.start(certificates.redisOptions(port: port, for: names)), port)
    }

    static func configuration(_ host: String, _ port: Int, _ authority: String?) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: "rediss://\(host):\(port)")
        configuration.caFile = authority
        return configuration
    }

    @Test(
        "The right authority and name are trusted",
        arguments: [("localhost", "DNS:localhost"), ("127.0.0.1", "IP:127.0.0.1"), ("localhost", "DNS:other.example,DNS:LOCALHOST")]
    )
    func trustsTheRightAuthorityAndTheRightName(host: String, names: String) async throws {
        let certificates = try await Certificates()
        let (redis, port) = try await Self.server(certificates, for: names)
        let connection = try await RedisConnection.open(Self.configuration(host, port, certificates.authority)).ready()
        defer { connection.shutDown() }
        let large = String(repeating: "x", count: 1 << 20)
        #expect(try await connection.echo("over TLS") == "over TLS")
        #expect((try await connection.echo(large) == large) == true)
        try await redis.kill()
    }

    @Test(
        "A certificate for another name is refused",
        arguments: [
            ("localhost", "DNS:other.example"), ("127.0.0.1", "DNS:localhost"), ("127.0.0.1", "IP:127.0.0.2"),
            ("127.0.0.1", "DNS:127.0.0.1"),
        ]
    )
    func refusesACertificateForAnotherName(host: String, names: String) async throws {
        let certificates = try await Certificates()
        let (redis, port) = try await Self.server(certificates, for: names)
        try await Self.expectRefusal(Self.configuration(host, port, certificates.authority))
        try await redis.kill()
    }

    @Test("An unknown authority is refused")
    func refusesAnAuthorityThatItDoesNotKnow() async throws {
        let (certificates, other) = (try await Certificates(), try await Certificates())
        let (redis, port) = try await Self.server(certificates, for: "DNS:localhost,IP:127.0.0.1")
        try await Self.expectRefusal(Self.configuration("localhost", port, other.authority))
        // The system does not trust this authority, either.
        try await Self.expectRefusal(Self.configuration("localhost", port, nil))
        try await Self.expectRefusal(Self.configuration("127.0.0.1", port, other.authority))
        try await Self.expectRefusal(Self.configuration("localhost", port, other.directory.path + "/none.pem"))
        // A server without TLS at this port waits for more bytes.
        try await Self.expectRefusal(
            Self.configuration("127.0.0.1", redis.port, certificates.authority), connectTimeout: .milliseconds(200))
        try await redis.kill()
    }

    /// After a TLS connection is abandoned, the client still reads from it until the server closes
    /// it. The next connection is already in use then.
    @Test("A late reply over TLS never reaches the next command")
    func aLateReplyNeverMeetsTheNextCommand() async throws {
        let certificates = try await Certificates()
        let (redis, port) = try await Self.server(certificates, for: "IP:127.0.0.1")
        let connection = try await RedisConnection.open(Self.configuration("127.0.0.1", port, certificates.authority)) {
            $0.commandTimeout = .milliseconds(300)
        }.ready()
        defer { connection.shutDown() }
        for round in 0..<4 {
            redis.process.signal(SIGSTOP)
            for result in try await connection.send(pipeline: (0..<5).map { RedisCommand("ECHO", "late \(round) \($0)") }) {
                let error = #expect(throws: RedisError.self) { try result.get() }
                #expect(error?.code == .timeout)
            }
            // Before Redis learns that the client has left, it replies to the commands that it has
            // read.
            redis.process.signal(SIGCONT)
            for index in 0..<20 { #expect(try await connection.patientEcho("\(round) \(index)") == "\(round) \(index)") }
        }
        #expect(connection.generation >= 5)
        try await redis.kill()
    }

    /// - Parameter reason: A part of the error's text.
    static func expectRefusal(
        _ configuration: RedisConfiguration, connectTimeout: Duration = .seconds(10), because reason: String = ""
    ) async throws {
        let connection = RedisConnection.open(configuration) { $0.connectTimeout = connectTimeout }
        defer { connection.shutDown() }
        for _ in 0..<3 {
            let error = try await within(.seconds(10), "a refusal") { try await connection.failure("PING") }
            #expect(error.code == .connectionFailed, "\(error)")
            #expect(!error.mayHaveBeenApplied)
            #expect(error.message.contains("\(configuration)"))
            #expect(reason.isEmpty || error.message.contains(reason), "\(error)")
        }
        #expect(!connection.isReady && connection.generation == 0)
    }
}
