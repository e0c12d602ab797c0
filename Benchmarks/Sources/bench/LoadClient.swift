import NIOCore
import NIOPosix

/// The result of one connection.
struct LoadResult: Sendable {
    var turns = 0
    var failures: [String] = []
    /// The seconds from each request to its first token.
    var firstToken: [Double] = []
    /// The seconds from each request to the end of its response.
    var whole: [Double] = []

    static func + (one: LoadResult, two: LoadResult) -> LoadResult {
        LoadResult(
            turns: one.turns + two.turns, failures: one.failures + two.failures, firstToken: one.firstToken + two.firstToken,
            whole: one.whole + two.whole)
    }
}

/// Clients on one connection each. A client posts a message, reads the stream to its end, and posts
/// the next.
enum LoadClient {
    /// Runs the clients until each has ended.
    ///
    /// - Parameters:
    ///   - request: Returns the bytes of a client's request number `n`; nil ends that client.
    static func run(
        clients: Int, port: Int, group: any EventLoopGroup, marker: String = "event: message",
        request: @escaping @Sendable (_ client: Int, _ n: Int) -> ByteBuffer?
    ) async throws -> LoadResult {
        try await withThrowingTaskGroup(of: LoadResult.self) { tasks in
            for client in 0..<clients {
                tasks.addTask {
                    let loop = group.next()
                    let promise = loop.makePromise(of: LoadResult.self)
                    _ = try await ClientBootstrap(group: loop)
                        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                        .channelInitializer { channel in
                            channel.eventLoop.makeCompletedFuture {
                                let handler = LoadHandler(marker: marker, promise: promise) { request(client, $0) }
                                try channel.pipeline.syncOperations.addHandler(handler)
                            }
                        }
                        .connect(host: "127.0.0.1", port: port).get()
                    return try await promise.futureResult.get()
                }
            }
            var sum = LoadResult()
            for try await result in tasks { sum = sum + result }
            return sum
        }
    }

    static func post(_ path: String, _ body: String) -> ByteBuffer {
        ByteBuffer(
            string:
                "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
    }

    static func message(_ text: String, session: String) -> ByteBuffer {
        post("/agent/message/stream", #"{"session_id":"\#(session)","message":{"type":"user_message","content":"\#(text)"}}"#)
    }
}

/// Searches the bytes only. The first token has arrived when `marker` has, and a response ends with
/// the last HTTP chunk.
private final class LoadHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: (Int) -> ByteBuffer?
    private let marker: [UInt8]
    private let promise: EventLoopPromise<LoadResult>
    private var result = LoadResult()
    private var count = 0
    private var sent = NIODeadline.now()
    private var hasToken = false
    private var tail: [UInt8] = []
    private var isDone = false

    init(marker: String, promise: EventLoopPromise<LoadResult>, request: @escaping (Int) -> ByteBuffer?) {
        self.marker = Array(marker.utf8)
        self.promise = promise
        self.request = request
    }

    func channelActive(context: ChannelHandlerContext) { next(context) }

    private func next(_ context: ChannelHandlerContext) {
        guard let bytes = request(count) else { return end(context) }
        count += 1
        hasToken = false
        tail = []
        sent = .now()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    private func end(_ context: ChannelHandlerContext) {
        isDone = true
        promise.succeed(result)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        let now = NIODeadline.now()
        bytes.withUnsafeReadableBytes { raw in
            if tail.isEmpty, !raw.starts(with: Array("HTTP/1.1 200".utf8)) {
                result.failures.append(String(decoding: raw.prefix(400), as: UTF8.self))
            }
            if !hasToken, raw.firstRange(of: marker) != nil {
                hasToken = true
                result.firstToken.append(Double((now - sent).nanoseconds) / 1e9)
            }
            tail.append(contentsOf: raw.suffix(7))
            if tail.count > 7 { tail.removeFirst(tail.count - 7) }
        }
        guard tail.suffix(5) == Array("0\r\n\r\n".utf8)[...] else {
            // The response to a failed request ends with its body.
            if !result.failures.isEmpty { end(context) }
            return
        }
        result.turns += 1
        result.whole.append(Double((now - sent).nanoseconds) / 1e9)
        next(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard !isDone else { return }
        isDone = true
        result.failures.append("the server closed the connection")
        promise.succeed(result)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        result.failures.append("\(error)")
        context.close(promise: nil)
    }
}
