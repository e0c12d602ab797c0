import AsyncHTTPClient
import LocalDeployment
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import AgentService

@Suite struct LoopClientTests {
    /// Asks for the body when it is told of the head, and notes which way it comes.
    private final class Reader: HTTPClientResponseDelegate, BodyReceiver {
        struct Seen {
            var direct = 0
            var throughClient = 0
            /// What came when it was told of the end.
            var atEnd = 0
        }

        let seen = Mutex(Seen())
        let client: LoopClient

        init(_ client: LoopClient) { self.client = client }

        func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
            client.passBody(to: self)
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func receiveBody(_ bytes: ByteBuffer) { seen.withLock { $0.direct += bytes.readableBytes } }

        func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
            seen.withLock { $0.throughClient += buffer.readableBytes }
            return task.eventLoop.makeSucceededVoidFuture()
        }

        func didFinishRequest(task: HTTPClient.Task<Void>) { seen.withLock { $0.atEnd = $0.direct } }
    }

    /// That the HTTP client tells of a head while the connection hands it on is not promised anywhere.
    @Test func theBodyComesWithoutTheClientsDetour() async throws {
        var answer = UpstreamAnswer()
        for number in 0..<50 { answer.add(delta: ["content": .string("token \(number)")]) }
        answer.end(finish: "stop")
        let size = answer.parts.reduce(0) { if case .bytes(let bytes) = $1 { $0 + bytes.readableBytes } else { $0 } }
        let upstream = try await Upstream.start { [answer] _ in answer }
        defer { upstream.stop() }
        let opened = Atomic<Int>(0)
        let client = LoopClient(eventLoop: MultiThreadedEventLoopGroup.singleton.any(), configuration: .init()) { _ in
            opened.add(1, ordering: .relaxed)
        }
        let body =
            #"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}"#
        let request = try HTTPClient.Request(
            url: "\(upstream.url)/v1/chat/completions", method: .POST, headers: ["Content-Type": "application/json"], body: .string(body))
        for _ in 0..<3 {
            let reader = Reader(client)
            try await client.http.execute(request: request, delegate: reader).get()
            let seen = reader.seen.withLock { $0 }
            #expect(seen.direct == size && seen.atEnd == size)
            #expect(seen.throughClient == 0)
        }
        #expect(upstream.violations.isEmpty)
        // The client sees that the answers have ended, and keeps the connection.
        #expect(opened.load(ordering: .relaxed) == 1)
        try await client.http.shutdown()
    }
}
