import Foundation
import HTTPTypes
import Locks
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import agent_server

@Suite("Fetching the issuer's keys")
struct IssuerKeySourceTests {
    private let issuer = TestIssuer()
    private let fetches = Count()
    private let log = LogCollector()

    init() { issuer.publish("one") }

    private final class Count: Sendable {
        private let count = Guarded(0)

        var value: Int { count.withLock { $0 } }
        func add() { count.withLock { $0 += 1 } }
    }

    /// - Parameter gate: Holds each fetch back.
    private func verifier(_ gate: Gate? = nil) -> (verifier: TokenVerifier, source: IssuerKeySource) {
        let store = CredentialStore(KeyTable(internalKey: nil))
        let source = IssuerKeySource(store: store, logger: log.logger) { [issuer, fetches] () throws(CredentialFileError) in
            fetches.add()
            await gate?.pass()
            guard !issuer.isAway else { throw CredentialFileError("the issuer cannot be reached") }
            return ByteBuffer(string: issuer.keySet)
        }
        let rules = TokenRules(issuer: TestIssuer.name, audience: TestIssuer.audience)
        return (TokenVerifier(rules: rules, store: store, source: source), source)
    }

    private func failure(_ verifier: TokenVerifier, _ token: String) async -> AuthFailure.Reason? {
        do throws(AuthFailure) {
            _ = try await verifier.principal(of: token, KeyDigest(of: token))
            return nil
        } catch { return error.reason }
    }

    @Test("Many tokens with unknown keys cause one fetch, and the valid ones among them are accepted")
    func aStorm() async throws {
        let gate = Gate()
        let (verifier, _) = verifier(gate)
        let good = try issuer.token("one")
        let bad = try (0..<200).map { try issuer.token("invented-\($0)") }
        let failures = await withTaskGroup(of: (Bool, AuthFailure.Reason?).self) { group in
            for token in bad { group.addTask { (false, await failure(verifier, token)) } }
            for _ in 0..<200 { group.addTask { (true, await failure(verifier, good)) } }
            // The gate opens in any case: the group waits for all of them.
            try? await eventually("a fetch", timeout: .seconds(60)) { gate.arrivals > 0 }
            gate.open()
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(failures.count == 400 && failures.allSatisfy { isGood, reason in isGood ? reason == nil : reason == .wrong })
        // A second storm within the same half minute causes no fetch.
        for token in bad { #expect(await failure(verifier, token) == .wrong) }
        #expect(fetches.value == 1)
    }

    @Test("Tokens with the wrong issuer, audience or time cause no fetch")
    func noFetchForTheWrongTokens() async throws {
        let (verifier, _) = verifier()
        for claims in [["iss": "https://evil.example"], ["aud": "other"], ["exp": 1]] as [[String: JSON]] {
            #expect(await failure(verifier, try issuer.token("one", claims)) != nil)
        }
        #expect(fetches.value == 0)
    }

    @Test("A key that the issuer has just added is accepted at once")
    func rotation() async throws {
        let (verifier, source) = verifier()
        let running = Task { try await source.run() }
        defer { running.cancel() }
        try await eventually("the first keys", timeout: .seconds(60)) { verifier.store.current.issuer.knows("one") }
        issuer.publish("two")
        let token = try issuer.token("two")
        #expect(await failure(verifier, token) == nil)
        #expect(await failure(verifier, try issuer.token("one")) == nil)
        #expect(fetches.value == 2)
        #expect(log.text.contains("the issuer's keys were fetched"))
    }

    @Test("A server that stops does not wait for the issuer")
    func stopping() async throws {
        let fetches = Count()
        let source = IssuerKeySource(store: CredentialStore(KeyTable(internalKey: nil)), logger: log.logger) {
            () throws(CredentialFileError) in
            fetches.add()
            // An issuer that never responds.
            try? await Task.sleep(for: .seconds(3600))
            throw CredentialFileError("the issuer cannot be reached")
        }
        let running = Task { try await source.run() }
        try await eventually("a fetch", timeout: .seconds(60)) { fetches.value == 1 }
        running.cancel()
        try await within(.seconds(60), "the end") { _ = await running.result }
    }

    /// A 401 would send all users to an issuer that is away.
    @Test("While the issuer is away, known keys go on, and tokens of unknown ones get 503")
    func theIssuerIsAway() async throws {
        issuer.isAway = true
        let (verifier, source) = verifier()
        #expect(await failure(verifier, try issuer.token("one")) == .unchecked)
        #expect(await failure(verifier, try issuer.token("one")) == .unchecked)
        #expect(fetches.value == 1)
        #expect(
            AuthFailure(.unchecked).problem.status == .serviceUnavailable && AuthFailure(.unchecked).problem.headers[.retryAfter] != nil)
        #expect(log.text.contains("tokens get 503"))
        issuer.isAway = false
        let running = Task { try await source.run() }
        defer { running.cancel() }
        try await eventually("the first keys", timeout: .seconds(60)) { verifier.store.current.issuer.knows("one") }
        #expect(await failure(verifier, try issuer.token("one")) == nil)
        issuer.isAway = true
        #expect(await failure(verifier, try issuer.token("one", ["sub": "bob"])) == nil)
        // The last fetch has brought keys, and this one is not among them.
        #expect(await failure(verifier, try issuer.token("two")) == .wrong)
    }
}

@Suite("The request for the issuer's keys")
struct IssuerRequestTests {
    private func error(_ steps: [RawUpstream.Step]) async throws -> (text: String, requests: [RawUpstream.Received]) {
        let server = try await RawUpstream.start { _ in steps }
        defer { server.stop() }
        let request = IssuerRequest(url: server.url + "/keys", group: .singletonMultiThreadedEventLoopGroup)
        do throws(CredentialFileError) {
            _ = try await request.body()
            return ("", server.requests)
        } catch { return (error.description, server.requests) }
    }

    @Test("The keys are the body of a response of 200")
    func theBody() async throws {
        let issuer = try await TestIssuer.start()
        let request = IssuerRequest(url: issuer.url, group: .singletonMultiThreadedEventLoopGroup)
        #expect(try await String(buffer: request.body()) == issuer.keySet && issuer.requests == 1)
    }

    @Test("Redirections are not followed, and other statuses are errors")
    func statuses() async throws {
        let moved = try await error([.bytes("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")])
        #expect(moved.text.contains("status 302") && moved.requests.count == 1)
        #expect(try await error([.bytes("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")]).text.contains("status 500"))
    }

    @Test("A body that is too large, broken off or not HTTP is an error")
    func bodies() async throws {
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        let flood = RawUpstream.Step.flood(ByteBuffer(string: String(repeating: "x", count: 64 << 10)), count: 32)
        #expect(try await error([.bytes(head), flood]).text.contains("more than"))
        #expect(try await error([.bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), .close]).text.contains("cannot be reached"))
        for head in ["HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n", "nonsense\r\n\r\n"] {
            #expect(try await error([.bytes(head), .close]).text.contains("cannot be reached"), "\(head)")
        }
        #expect(try await error([.close]).text.contains("cannot be reached"))
    }
}
