import Foundation
import Glibc
import NIOCore
import TestSupport
import Testing
import TransportSecurity

@testable import LanguageModels

#if canImport(Glibc)
#endif

/// The server is openssl's, with the TLS versions that the test names.
@Suite("A model's server behind TLS", .tags(.processes), .serialized)
struct HTTPLanguageModelTLSTests {
    /// `openssl s_server`, which prints the request, and sends the lines of its standard input.
    private final class TLSServer: Sendable {
        let process: ChildProcess
        let port: Int
        private let input: Int32

        init(_ certificates: Certificates, names: String = "DNS:localhost", _ options: String...) async throws {
            let server = try await certificates.server(for: [names])
            let fifo = try temporaryDirectory().appending(path: "input").path
            guard mkfifo(fifo, 0o600) == 0 else { throw NeverHappened(description: "a fifo") }
            input = open(fifo, O_RDWR | O_CLOEXEC)
            port = try freePort()
            let arguments = [
                "-accept", "127.0.0.1:\(port)", "-cert", server.certificate, "-key", server.key, "-CAfile", certificates.authority,
            ]
            process = try ChildProcess(
                "/bin/sh", ["-c", "exec openssl s_server \"$@\" <\"$0\"", fifo] + arguments + options,
                directory: certificates.directory)
            _ = try await process.line(/(ACCEPT)/)
        }

        deinit {
            close(input)
        }

        func say(_ text: String) {
            let bytes = Array(text.utf8)
            _ = write(input, bytes, bytes.count)
        }
    }

    private static let answer = """
        {"choices":[{"index":0,"message":{"role":"assistant","content":"over TLS"},"finish_reason":"stop"}]}
        """

    /// Runs one generation, and sends the response when the request has arrived.
    private func ask(
        _ server: TLSServer, host: String = "localhost", _ change: (inout ModelSetup) -> Void = { _ in }
    ) async throws -> Decoded {
        try await withModel("https://\(host):\(server.port)", change) { model in
            let answering = Task {
                try await eventually("the request") { server.process.log.contains("POST /v1/chat/completions") }
                // The test writes line by line, because the server reads its input as a terminal.
                server.say(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(Self.answer.utf8.count)\r\n\r\n\(Self.answer)\n"
                )
            }
            defer { answering.cancel() }
            return try await model.collect(.hello)
        }
    }

    private func expectRefusal(_ decoded: Decoded, _ words: String) {
        #expect(decoded.error == .unavailable && decoded.message.contains(words), "\(decoded)")
    }

    @Test("A private certificate authority is trusted when configured")
    func anAuthorityOfOnesOwn() async throws {
        let (certificates, strangers) = (try await Certificates(), try await Certificates())
        let server = try await TLSServer(certificates)
        expectRefusal(try await ask(server), "certificate is not trusted")
        expectRefusal(try await ask(server) { $0.tls.caFile = strangers.authority }, "certificate is not trusted")
        #expect(!server.process.log.contains("POST"))
        #expect(try await ask(server) { $0.tls.caFile = certificates.authority }.text == "over TLS")
    }

    @Test("A certificate for another name is refused")
    func aCertificateForAnotherName() async throws {
        let certificates = try await Certificates()
        let server = try await TLSServer(certificates, names: "DNS:other.example")
        expectRefusal(try await ask(server) { $0.tls.caFile = certificates.authority }, "certificate is for another name")
        #expect(!server.process.log.contains("POST"))
    }

    @Test("A server that requires a client certificate gets it")
    func aServerThatWantsAClientCertificate() async throws {
        let certificates = try await Certificates()
        let server = try await TLSServer(certificates, names: "DNS:localhost", "-Verify", "1", "-verify_return_error")
        expectRefusal(try await ask(server) { $0.tls.caFile = certificates.authority }, "certificate")
        let client = try await certificates.client()
        let decoded = try await ask(server) {
            $0.tls.caFile = certificates.authority
            ($0.tls.certificateFile, $0.tls.keyFile) = (client.certificate, client.key)
        }
        #expect(decoded.text == "over TLS")
    }

    @Test("TLS older than 1.2 is refused")
    func nothingOlderThanTLS12IsSpoken() async throws {
        let certificates = try await Certificates()
        let old = try await TLSServer(certificates, names: "DNS:localhost", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
        expectRefusal(try await ask(old) { $0.tls.caFile = certificates.authority }, "TLS 1.2")
        #expect(!old.process.log.contains("POST"))
        let new = try await TLSServer(certificates, names: "DNS:localhost", "-tls1_2")
        #expect(try await ask(new) { $0.tls.caFile = certificates.authority }.text == "over TLS")
    }
}
