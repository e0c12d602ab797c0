public import Foundation

/// A certificate authority of the test, made with openssl.
public struct Certificates: Sendable {
    public let directory: URL
    /// The path of the authority's certificate, in PEM.
    public var authority: String { directory.path + "/ca.pem" }

    public init() async throws {
        directory = try temporaryDirectory()
        try await Self.run(Self.newKey("ca") + ["-x509", "-out", authority, "-days", "2", "-subj", "/CN=Test authority"], in: directory)
    }

    /// Makes a server's certificate for these names, such as `DNS:localhost` or `IP:127.0.0.1`.
    ///
    /// - Returns: Command-line arguments of redis-server that open a TLS port with this
    ///   certificate.
    public func redisOptions(port: Int, for names: String...) async throws -> [String] {
        try await ["--tls-port", "\(port)"] + redisOptions(for: names)
    }

    /// Makes the same certificate and arguments without the port.
    public func redisOptions(for names: [String]) async throws -> [String] {
        let server = try await server(for: names)
        return [
            "--tls-cert-file", server.certificate, "--tls-key-file", server.key, "--tls-ca-cert-file", authority,
            "--tls-auth-clients", "no",
        ]
    }

    /// Makes a server's certificate for these names, and its key.
    public func server(for names: [String]) async throws -> (certificate: String, key: String) {
        try await Self.run(Self.newKey("server") + ["-out", "server.csr", "-subj", "/CN=redis"], in: directory)
        try "subjectAltName=\(names.joined(separator: ","))".write(
            to: directory.appending(path: "names"), atomically: true, encoding: .utf8)
        try await Self.run(
            [
                "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile",
                "names", "-out", "server.pem",
            ], in: directory)
        return (directory.path + "/server.pem", directory.path + "/server.key")
    }

    /// Makes a client's certificate of this authority, and its key.
    public func client(_ name: String = "client") async throws -> (certificate: String, key: String) {
        try await Self.run(Self.newKey(name) + ["-out", "\(name).csr", "-subj", "/CN=\(name)"], in: directory)
        try await Self.run(
            [
                "x509", "-req", "-in", "\(name).csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out",
                "\(name).pem",
            ],
            in: directory)
        return (directory.path + "/\(name).pem", directory.path + "/\(name).key")
    }

    private static func newKey(_ name: String) -> [String] {
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "\(name).key"]
    }

    private static func run(_ arguments: [String], in directory: URL) async throws {
        let child = try ChildProcess("openssl", arguments, directory: directory)
        guard try await child.ended() == 0 else { throw NeverHappened(description: "openssl \(arguments): \(child.log)") }
    }
}
