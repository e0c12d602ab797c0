import Foundation
import NIOCore
import NIOPosix

extension Bench {
    /// How long a viewer waits for the next token when the replica that runs its step is killed: it connects to another one at once.
    func failover(_ path: String) async throws {
        say("\nfailover: kill -9 of the owner in the middle of an answer; the viewer resumes at the other replica; 10 runs each")
        row([("lease s", 8), ("ms until the next token: median", 32), ("longest", 8), ("answers lost", 12)])
        for lease in [3000, 1000] {
            var waits: [Double] = []
            var lost = 0
            for run in 0..<10 {
                let setup = try await Setup(server: path, replicas: 2, environment: ["AGENT_RUNTIME__LEASE_MS": "\(lease)"])
                defer { for server in setup.servers { server.stop(SIGKILL) } }
                let session = "f-\(run)"
                let owner = try await StreamClient(port: setup.ports[0], LoadClient.message("pace 20", session: session))
                guard let seen = try await owner.read(until: 20) else { throw Failure(description: "the answer ended early") }
                setup.servers[0].stop(SIGKILL)
                let killed = NIODeadline.now()
                // As a client does: again and again from the last id, until `done`.
                var last = seen
                var isDone = false
                var next: NIODeadline?
                while !isDone, NIODeadline.now() - killed < .seconds(60) {
                    guard let viewer = try? await StreamClient(port: setup.ports[1], StreamClient.resume(session, after: last)) else {
                        continue
                    }
                    while let event = try await viewer.next() {
                        if let id = event.id { last = id }
                        if event.data.contains(#""token":"t="#), next == nil { next = .now() }
                        if event.name == "done" { isDone = event.data.contains("completed") }
                    }
                }
                if isDone, let next { waits.append(Double((next - killed).nanoseconds) / 1e6) } else { lost += 1 }
                try await setup.stop()
            }
            row([(format(Double(lease) / 1000, 1), 8), (format(waits.median, 0), 32), (format(waits.max() ?? 0, 0), 8), ("\(lost)", 12)])
        }
    }
}

/// Reads one event stream, event by event.
final class StreamClient {
    struct Event {
        var id: String?
        var name = "message"
        var data = ""
    }

    private var iterator: AsyncThrowingStream<ByteBuffer, any Error>.Iterator
    private let channel: any Channel
    private var lines: [Substring] = []
    private var pending = ""

    init(port: Int, _ request: ByteBuffer) async throws {
        let (stream, continuation) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ForwardHandler(continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        iterator = stream.makeAsyncIterator()
        try await channel.writeAndFlush(request)
    }

    deinit {
        channel.close(promise: nil)
    }

    static func resume(_ session: String, after id: String) -> ByteBuffer {
        ByteBuffer(
            string:
                "GET /agent/sessions/\(session)/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \(id)\r\nConnection: close\r\n\r\n")
    }

    /// From the beginning of the step that runs.
    static func join(_ session: String) -> ByteBuffer {
        ByteBuffer(string: "GET /agent/sessions/\(session)/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    /// Reads events with ids until there were `count`; the last one's id, nil at the stream's end.
    func read(until count: Int) async throws -> String? {
        var seen = 0
        while let event = try await next() {
            if event.id != nil { seen += 1 }
            if seen == count { return event.id }
        }
        return nil
    }

    /// The next event; nil at the end. HTTP's own lines look like no field of an event and are passed over.
    func next() async throws -> Event? {
        var event = Event()
        while true {
            while let end = pending.firstIndex(of: "\n") {
                var line = pending[..<end]
                pending = String(pending[pending.index(after: end)...])
                if line.last == "\r" { line = line.dropLast() }
                if line.hasPrefix("id: ") { event.id = String(line.dropFirst(4)) }
                if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
                if line.hasPrefix("data: ") { event.data = String(line.dropFirst(6)) }
                if line.isEmpty, !event.data.isEmpty { return event }
            }
            guard let bytes = try? await iterator.next() else { return nil }
            pending += String(buffer: bytes).replacing("\r\n", with: "\n")
            if pending.hasSuffix("0\n\n") { channel.close(promise: nil) }
        }
    }
}

private final class ForwardHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation

    init(_ continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation) {
        self.continuation = continuation
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
