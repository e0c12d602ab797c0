import AsyncHTTPClient
import LocalDeployment
import Locks
import NIOCore
import NIOHTTP1
import NIOPosix
import TestSupport
import Testing

@testable import LanguageModels

@Suite("The HTTP client's shortcut for bodies")
struct PerEventLoopHTTPClientTests {
    /// Asks for the body when the head arrives, and records whether the body's bytes arrive
    /// directly or through the HTTP client.
    private final class Reader: HTTPClientResponseDelegate, BodyReceiver {
        struct Seen: Equatable {
            var direct = 0
            var throughClient = 0
            var isKept = false
        }

        let seen = Guarded(Seen())
        /// Opens when all deltas have arrived.
        let hasTokens = Gate()
        private let client: PerEventLoopHTTPClient
        private let tokenBytes: Int

        init(_ client: PerEventLoopHTTPClient, tokenBytes: Int) {
            (self.client, self.tokenBytes) = (client, tokenBytes)
        }

        func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
            client.passBody(to: self)
            note { $0.isKept = client.isConnectionKept }
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func receiveBody(_ bytes: ByteBuffer) { note { $0.direct += bytes.readableBytes } }

        func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
            note { $0.throughClient += buffer.readableBytes }
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func didFinishRequest(task: HTTPClient.Task<Void>) {}

        private func note(_ body: (inout Seen) -> Void) {
            let seen = seen.withLock { seen in
                body(&seen)
                return seen
            }
            if seen.direct + seen.throughClient >= tokenBytes { hasTokens.open() }
        }
    }

    /// AsyncHTTPClient does not promise that it reports a head within the connection's call.
    @Test("The body bypasses the HTTP client's own path")
    func theBodyComesWithoutTheClientsDetour() async throws {
        let client = PerEventLoopHTTPClient(eventLoop: MultiThreadedEventLoopGroup.singleton.any(), configuration: .init())
        let tokens = UpstreamAnswer.text((0..<50).map { "token \($0)" })
        func size(_ parts: some Sequence<UpstreamAnswer.Part>) -> Int {
            parts.reduce(0) { if case .bytes(let bytes) = $1 { $0 + bytes.readableBytes } else { $0 } }
        }
        let reader = Guarded<Reader?>(nil)
        let upstream = try await Upstream.start { _ in
            tokens.inserting(reader.withLock { $0 }.map { .gate($0.hasTokens) } ?? .hangUp, after: 50)
        }
        defer { upstream.stop() }
        let body =
            #"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}"#
        let request = try HTTPClient.Request(
            url: "\(upstream.url)/v1/chat/completions", method: .POST, headers: ["Content-Type": "application/json"], body: .string(body))
        let tokenBytes = size(tokens.parts.prefix(50))
        for round in 0..<3 {
            let current = Reader(client, tokenBytes: tokenBytes)
            reader.withLock { $0 = current }
            try await client.http.execute(request: request, delegate: current).get()
            let seen = current.seen.withLock { $0 }
            // Bytes that arrive together with the end may pass through the HTTP client.
            #expect(seen.direct >= tokenBytes)
            #expect(seen.direct + seen.throughClient == size(tokens.parts))
            // The HTTP client gets the end of the response, and keeps the connection.
            #expect(seen.isKept == (round > 0))
        }
        #expect(upstream.violations.isEmpty)
        try await client.http.shutdown()
    }
}
