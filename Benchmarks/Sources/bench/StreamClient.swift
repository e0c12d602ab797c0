import NIOCore
import NIOPosix

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

    /// Returns a request that follows the running step from its first event.
    static func join(_ session: String) -> ByteBuffer {
        ByteBuffer(string: "GET /agent/sessions/\(session)/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    static func post(_ text: String, session: String, key: String) -> ByteBuffer {
        let body = #"{"session_id":"\#(session)","message":{"type":"user_message","content":"\#(text)"}}"#
        let head = "POST /agent/message/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: \(key)\r\n"
        return ByteBuffer(string: head + "Connection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Reads events until `count` of them had an id.
    ///
    /// - Returns: The id of the last event; nil if the stream ended before.
    func read(until count: Int) async throws -> String? {
        var seen = 0
        while let event = try await next() {
            if event.id != nil { seen += 1 }
            if seen == count { return event.id }
        }
        return nil
    }

    /// Reads the next event. HTTP's own lines are skipped: none of them looks like a field of an
    /// event.
    ///
    /// - Returns: Nil at the end, and if the response is not a stream.
    func next() async throws -> Event? {
        var event = Event()
        while true {
            while let end = pending.firstIndex(of: "\n") {
                var line = pending[..<end]
                pending = String(pending[pending.index(after: end)...])
                if line.last == "\r" { line = line.dropLast() }
                if line.hasPrefix("HTTP/1.1 "), !line.hasPrefix("HTTP/1.1 200") { return nil }
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
