import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import RedisClient

/// Client certificates, versions of TLS, and the requirements on the files of both.
@Suite("TLS files", .tags(.processes), .serialized)
struct RedisTLSFilesTests {
    private func redis(_ certificates: Certificates, _ options: String...) async throws -> (redis: RedisServer, port: Int) {
        let port = try freePort()
        // If an option is repeated, redis-server uses the last one.
        let all = try await certificates.redisOptions(port: port, for: "IP:127.0.0.1,DNS:localhost") + options
        return (try await RedisServer.start(all), port)
    }

    @Test("A Redis that requires a client certificate gets it")
    func aRedisThatWantsAClientCertificate() async throws {
        let (certificates, strangers) = (try await Certificates(), try await Certificates())
        let (redis, port) = try await redis(certificates, "--tls-auth-clients", "yes")
        var configuration = try RedisTLSTests.configuration("127.0.0.1", port, certificates.authority)
        try await RedisTLSTests.expectRefusal(configuration)
        let (other, own) = (try await strangers.client(), try await certificates.client())
        (configuration.tls.certificateFile, configuration.tls.keyFile) = (other.certificate, other.key)
        try await RedisTLSTests.expectRefusal(configuration)
        (configuration.tls.certificateFile, configuration.tls.keyFile) = (own.certificate, own.key)
        let connection = try await RedisConnection.open(configuration).ready()
        #expect(try await connection.echo("with a certificate") == "with a certificate")
        connection.shutDown()
        try await redis.kill()
    }

    @Test("TLS older than 1.2 is refused", arguments: [("TLSv1.1", false), ("TLSv1.2", true), ("TLSv1.3", true)])
    func nothingOlderThanTLS12IsSpoken(_ version: String, isSpoken: Bool) async throws {
        let certificates = try await Certificates()
        let (redis, port) = try await redis(
            certificates, "--tls-protocols", version, "--tls-ciphers", "DEFAULT:@SECLEVEL=0")
        let configuration = try RedisTLSTests.configuration("127.0.0.1", port, certificates.authority)
        if isSpoken {
            let connection = try await RedisConnection.open(configuration).ready()
            connection.shutDown()
        } else {
            try await RedisTLSTests.expectRefusal(configuration, because: "TLS 1.2")
        }
        try await redis.kill()
    }

    @Test("The error says why TLS failed")
    func whyTLSHasFailed() async throws {
        let (certificates, strangers) = (try await Certificates(), try await Certificates())
        let (redis, port) = try await redis(certificates, "--tls-auth-clients", "yes")
        try await RedisTLSTests.expectRefusal(
            RedisTLSTests.configuration("127.0.0.1", port, strangers.authority), because: "certificate is not trusted")
        try await RedisTLSTests.expectRefusal(
            RedisTLSTests.configuration("127.0.0.1", port, certificates.authority), because: "wants a client certificate")
        try await redis.kill()
    }

    /// To read the authorities would take milliseconds on an event loop that serves streams.
    @Test("All connections share one TLS context")
    func allConnectionsShareOneContext() async throws {
        let (first, second) = (try await Certificates(), try await Certificates())
        let file = try temporaryDirectory().appending(path: "ca.pem").path
        try FileManager.default.copyItem(atPath: first.authority, toPath: file)
        var configuration = try RedisConfiguration(url: "rediss://localhost:1")
        configuration.caFile = file
        let other = configuration.server(at: .tcp(host: "localhost", port: 2))
        let context = try configuration.sharedTLS.context(configuration.tls)
        #expect(try other.sharedTLS.context(other.tls) === context)
        // The client does not use a partly written file, and uses a renewed file without a restart.
        try Data().write(to: URL(filePath: file))
        #expect(try configuration.sharedTLS.context(configuration.tls) === context)
        try Data(contentsOf: URL(filePath: second.authority)).write(to: URL(filePath: file))
        #expect(try configuration.sharedTLS.context(configuration.tls) !== context)
    }

    @Test("An error names an unusable file")
    func filesThatCannotBeUsedAreNamed() async throws {
        let certificates = try await Certificates()
        let (own, other) = (try await certificates.client("one"), try await certificates.client("two"))
        func problem(_ ca: String?, _ certificate: String?, _ key: String?) -> TLSFileError? {
            var files = TLSFiles()
            (files.caFile, files.certificateFile, files.keyFile) = (ca, certificate, key)
            do throws(TLSFileError) {
                try files.check()
                return nil
            } catch {
                return error
            }
        }
        #expect(problem(certificates.authority, own.certificate, own.key) == nil)
        #expect(problem(own.key, nil, nil)?.isAuthority == true)
        #expect(problem(nil, own.key, own.key)?.description.contains(own.key) == true)
        #expect(problem(nil, own.certificate, own.certificate)?.description.contains(own.certificate) == true)
        #expect(problem(nil, own.certificate, other.key)?.description.contains("do not belong together") == true)
    }
}
