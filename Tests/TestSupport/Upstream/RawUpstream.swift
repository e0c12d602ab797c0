public import NIOCore
import NIOPosix
import Foundation
import Synchronization

/// A server that reads HTTP requests and answers with bytes, and ends connections where a test wants it: for what a server of
/// good manners cannot do.
public final class RawUpstream: Sendable {
    public enum Step: Sendable {
        case bytes(String)
        /// The same bytes many times, each written when the socket takes it.
        case flood(ByteBuffer, count: Int)
        case gate(Gate)
        /// The connection is closed.
        case close
    }

    /// A request, as it came.
    public struct Received: Sendable {
        /// The connection it came on, and its place there, from 0.
        public var connection: Int
        public var place: Int
        public var text: String
    }

    private struct State {
        var requests: [Received] = []
        var connections = 0
        var open = 0
        var closures: [ContinuousClock.Instant] = []
        var written = 0
    }

    public typealias Script = @Sendable (Received) async -> [Step]

    public static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    public static let unboundedHead = head + "Connection: close\r\n\r\n"

    private let state = Mutex(State())
    private let script: Script
    private let portNumber = Mutex(0)
    private let task = Mutex<Task<Void, any Error>?>(nil)

    public var port: Int { portNumber.withLock { $0 } }
    public var url: String { "http://127.0.0.1:\(port)" }
    public var requests: [Received] { state.withLock { $0.requests } }
    public var connections: Int { state.withLock { $0.connections } }
    public var openConnections: Int { state.withLock { $0.open } }
    /// When the other side closed connections.
    public var closures: [ContinuousClock.Instant] { state.withLock { $0.closures } }
    /// Bytes of floods that the socket has taken.
    public var written: Int { state.withLock { $0.written } }

    private init(_ script: @escaping Script) {
        self.script = script
    }

    /// A whole answer with a length, after which the connection can be used again.
    public static func answer(_ body: String) -> [Step] {
        [.bytes(head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body)]
    }

    public static func start(_ script: @escaping Script) async throws -> RawUpstream {
        let upstream = RawUpstream(script)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
            }
        upstream.portNumber.withLock { $0 = server.channel.localAddress?.port ?? 0 }
        // Lives until stop(), or as long as the test process.
        let running = Task {
            try await server.executeThenClose { connections in
                try await withThrowingDiscardingTaskGroup { group in
                    for try await connection in connections { group.addTask { try? await upstream.serve(connection) } }
                }
            }
        }
        upstream.task.withLock { $0 = running }
        return upstream
    }

    public func stop() {
        task.withLock { $0?.cancel() }
    }

    private func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async throws {
        let number = state.withLock { state in
            defer { state.connections += 1 }
            state.open += 1
            return state.connections
        }
        defer { state.withLock { $0.open -= 1 } }
        try await connection.executeThenClose { inbound, outbound in
            // Reads on while an answer is written, to learn when the other side leaves.
            let (requests, found) = AsyncStream.makeStream(of: String.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { found.finish() }
                    var text = ""
                    for try await bytes in inbound {
                        text += String(buffer: bytes)
                        while let request = Self.takeRequest(from: &text) { found.yield(request) }
                    }
                    self.state.withLock { $0.closures.append(.now) }
                    throw LeftOff()
                }
                group.addTask {
                    var place = 0
                    for await text in requests {
                        let received = Received(connection: number, place: place, text: text)
                        place += 1
                        self.state.withLock { $0.requests.append(received) }
                        for step in await self.script(received) { try await self.take(step, outbound: outbound) }
                    }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private func take(_ step: Step, outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws {
        switch step {
        case .bytes(let text): try await outbound.write(ByteBuffer(string: text))
        case .flood(let bytes, let count):
            for _ in 0..<count {
                try await outbound.write(bytes)
                state.withLock { $0.written += bytes.readableBytes }
            }
        case .gate(let gate): await gate.pass()
        case .close: throw LeftOff()
        }
    }

    private struct LeftOff: Error {}

    private static func takeRequest(from text: inout String) -> String? {
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let length = text[..<end.lowerBound].firstMatch(of: /(?i)content-length: ([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
        guard text[end.upperBound...].utf8.count >= length else { return nil }
        let stop = text.utf8.index(end.upperBound, offsetBy: length)
        defer { text = String(text[stop...]) }
        return String(text[..<stop])
    }
}
