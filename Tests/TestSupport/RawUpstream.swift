import Foundation
import Locks
public import NIOCore
import NIOPosix

/// A server that reads HTTP requests, responds with arbitrary bytes, and ends connections at any
/// moment. Tests use it for faults that a proper HTTP server cannot cause.
public final class RawUpstream: Sendable {
    public enum Step: Sendable {
        case bytes(String)
        /// Sends the same bytes many times, each time when the socket has accepted the previous
        /// bytes.
        case flood(ByteBuffer, count: Int)
        case gate(Gate)
        /// Sends the same bytes periodically, until the gate opens.
        case trickle(String, every: Duration, until: Gate)
        /// Closes the connection.
        case close
    }

    /// A request with the bytes that arrived.
    public struct Received: Sendable {
        /// The number of the request's connection, and the request's index on that connection, both
        /// from 0.
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
        var server: (any Channel)?
    }

    public typealias Script = @Sendable (Received) async -> [Step]

    public static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    /// The head of a response that ends with its connection.
    public static let unboundedHead = head + "Connection: close\r\n\r\n"

    private let state = Guarded(State())
    private let script: Script

    public var port: Int { state.withLock { $0.server?.localAddress?.port ?? 0 } }
    public var url: String { "http://127.0.0.1:\(port)" }
    public var requests: [Received] { state.withLock { $0.requests } }
    public var connections: Int { state.withLock { $0.connections } }
    public var openConnections: Int { state.withLock { $0.open } }
    /// The times at which connections ended.
    public var closures: [ContinuousClock.Instant] { state.withLock { $0.closures } }
    /// The bytes of floods that the socket has accepted.
    public var written: Int { state.withLock { $0.written } }

    private init(_ script: @escaping Script) {
        self.script = script
    }

    /// Returns a whole response with a length, after which the client can reuse the connection.
    public static func answer(_ body: String) -> [Step] {
        [.bytes(head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body)]
    }

    public static func start(_ script: @escaping Script) async throws -> RawUpstream {
        let upstream = RawUpstream(script)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            // The buffer is small, so that the server soon notices a client that does not read.
            .childChannelOption(.socketOption(.so_sndbuf), value: 64 << 10)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Connection(upstream)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        upstream.state.withLock { $0.server = server }
        return upstream
    }

    public func stop() {
        state.withLock { $0.server }?.close(promise: nil)
    }

    // MARK: One connection

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let upstream: RawUpstream
        private var number = 0
        private var text = ""
        private var place = 0
        /// The last response; each response waits for the one before it.
        private var last: Task<Void, Never>?

        init(_ upstream: RawUpstream) {
            self.upstream = upstream
        }

        func channelActive(context: ChannelHandlerContext) {
            number = upstream.state.withLock { state in
                state.open += 1
                state.connections += 1
                return state.connections - 1
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            while let request = RawUpstream.takeRequest(from: &text) {
                let received = Received(connection: number, place: place, text: request)
                place += 1
                upstream.state.withLock { $0.requests.append(received) }
                let (upstream, before, channel) = (upstream, last, context.channel)
                last = Task {
                    await before?.value
                    for step in await upstream.script(received) {
                        do { try await upstream.take(step, channel: channel) } catch { return }
                    }
                }
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            upstream.state.withLock { state in
                state.open -= 1
                state.closures.append(.now)
            }
            last?.cancel()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private func take(_ step: Step, channel: any Channel) async throws {
        switch step {
        case .bytes(let text): try await channel.writeAndFlush(ByteBuffer(string: text))
        case .flood(let bytes, let count):
            for _ in 0..<count {
                try await channel.writeAndFlush(bytes)
                state.withLock { $0.written += bytes.readableBytes }
            }
        case .gate(let gate): await gate.pass()
        case .trickle(let text, let pace, let gate):
            while !gate.isOpen {
                try await channel.writeAndFlush(ByteBuffer(string: text))
                try await Task.sleep(for: pace)
            }
        case .close: try await channel.close()
        }
    }

    private static func takeRequest(from text: inout String) -> String? {
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let length = text[..<end.lowerBound].firstMatch(of: /(?i)content-length: ([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
        guard text[end.upperBound...].utf8.count >= length else { return nil }
        let stop = text.utf8.index(end.upperBound, offsetBy: length)
        defer { text = String(text[stop...]) }
        return String(text[..<stop])
    }
}
