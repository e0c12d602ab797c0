import NIOCore
import NIOPosix
import Synchronization

/// A model server that costs almost nothing: it finds the end of a request and writes bytes that
/// were prepared before, in one piece.
///
/// If a request's last message holds `hold 1`, the response stays open after the first token, until
/// ``release()``. If it holds `pace 10`, the tokens come one by one, 10 ms apart, and each holds
/// the time at which it was sent: `t=NANOSECONDS `.
final class CheapUpstream: Sendable {
    let port: Int
    private let channel: any Channel
    private let held = Mutex<[any Channel]>([])

    static func start(tokens: Int = 100, group: any EventLoopGroup) async throws -> CheapUpstream {
        let answer = CheapAnswer(tokens: tokens)
        let holder = Holder()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 8192)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(CheapHandler(answer: answer) { holder.upstream?.hold($0) })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let upstream = CheapUpstream(channel)
        holder.set(upstream)
        return upstream
    }

    private init(_ channel: any Channel) {
        self.channel = channel
        port = channel.localAddress?.port ?? 0
    }

    var heldCount: Int { held.withLock { $0.count } }

    fileprivate func hold(_ channel: any Channel) {
        held.withLock { $0.append(channel) }
    }

    /// Completes all responses that are held open.
    func release() {
        let channels = held.withLock { held in
            defer { held = [] }
            return held
        }
        for channel in channels { channel.writeAndFlush(CheapAnswer(tokens: 1).rest, promise: nil) }
    }
}

private final class Holder: Sendable {
    private let value = Mutex<CheapUpstream?>(nil)
    var upstream: CheapUpstream? { value.withLock { $0 } }
    func set(_ upstream: CheapUpstream) { value.withLock { $0 = upstream } }
}

/// The bytes of a response. Each event is an HTTP chunk of its own, as real servers write them.
struct CheapAnswer {
    let tokens: Int
    let head: ByteBuffer
    let first: ByteBuffer
    let rest: ByteBuffer
    let end: ByteBuffer
    let whole: ByteBuffer
    let timed = TimedToken()

    init(tokens: Int) {
        self.tokens = tokens
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        let first = Self.delta(#"{"role":"assistant","content":""}"#) + Self.delta(#"{"content":"token "}"#)
        let rest = String(repeating: Self.delta(#"{"content":"token "}"#), count: max(tokens, 1) - 1)
        let usage = #"{"prompt_tokens":9,"completion_tokens":100,"total_tokens":109}"#
        let end =
            Self.delta("{}", finish: #""stop""#)
            + Self.chunk(#"{"id":"chatcmpl-123","object":"chat.completion.chunk","choices":[],"usage":\#(usage)}"#)
            + Self.chunk("[DONE]") + "0\r\n\r\n"
        self.head = ByteBuffer(string: head)
        self.first = ByteBuffer(string: head + first)
        self.rest = ByteBuffer(string: rest + end)
        self.end = ByteBuffer(string: end)
        whole = ByteBuffer(string: head + first + rest + end)
    }

    static func delta(_ delta: String, finish: String = "null") -> String {
        let choice = #"{"index":0,"delta":\#(delta),"logprobs":null,"finish_reason":\#(finish)}"#
        return chunk(
            #"{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"m","system_fingerprint":"fp","choices":[\#(choice)],"usage":null}"#
        )
    }

    private static func chunk(_ data: String) -> String {
        let event = "data: \(data)\n\n"
        return String(event.utf8.count, radix: 16) + "\r\n" + event + "\r\n"
    }
}

/// A token that holds the time at which it was sent, in nanoseconds of the machine's uptime. Its
/// length is fixed, so that the model takes little of the cores that it shares with the measured
/// server.
struct TimedToken {
    private static let digits = 17
    private let template: ByteBuffer
    private let place: Int

    init() {
        let text = CheapAnswer.delta(#"{"content":"t=\#(String(repeating: "0", count: Self.digits)) "}"#)
        template = ByteBuffer(string: text)
        place = text.utf8.count - (text.split(separator: "t=0", maxSplits: 1).last?.utf8.count ?? 0) - 1
    }

    func token() -> ByteBuffer {
        var token = template
        var rest = NIODeadline.now().uptimeNanoseconds
        token.withUnsafeMutableReadableBytes { bytes in
            for index in stride(from: place + Self.digits - 1, through: place, by: -1) {
                bytes[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
        }
        return token
    }
}

private final class CheapHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: CheapAnswer
    private let hold: (any Channel) -> Void
    private var received = ByteBuffer()

    init(answer: CheapAnswer, hold: @escaping (any Channel) -> Void) {
        self.answer = answer
        self.hold = hold
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
        while let body = received.readCheapRequest() {
            let end = body.getSlice(at: max(body.readerIndex, body.writerIndex - 600), length: min(600, body.readableBytes)) ?? body
            if let pace = Self.pace(end) {
                sendPaced(context, every: pace)
                continue
            }
            let holds = end.withUnsafeReadableBytes { raw in raw.firstRange(of: Array("hold 1".utf8)) != nil }
            context.writeAndFlush(wrapOutboundOut(holds ? answer.first : answer.whole), promise: nil)
            if holds { hold(context.channel) }
        }
    }

    private static func pace(_ end: ByteBuffer) -> TimeAmount? {
        end.withUnsafeReadableBytes { raw in
            guard let mark = raw.firstRange(of: Array("pace ".utf8)) else { return nil }
            let digits = raw[mark.upperBound...].prefix { 0x30...0x39 ~= $0 }
            return Int64(String(decoding: digits, as: UTF8.self)).map { .milliseconds($0) }
        }
    }

    private func sendPaced(_ context: ChannelHandlerContext, every pace: TimeAmount) {
        context.writeAndFlush(wrapOutboundOut(answer.head), promise: nil)
        Self.sendNext(1, of: answer, every: pace, due: .now(), to: context.channel)
    }

    /// Sends a token, and schedules the next on a fixed grid of times, so that a late token does
    /// not delay those after it.
    private static func sendNext(_ number: Int, of answer: CheapAnswer, every pace: TimeAmount, due: NIODeadline, to channel: any Channel) {
        guard channel.isActive, number <= answer.tokens else {
            channel.writeAndFlush(answer.end, promise: nil)
            return
        }
        channel.writeAndFlush(answer.timed.token(), promise: nil)
        channel.eventLoop.scheduleTask(deadline: due + pace) {
            sendNext(number + 1, of: answer, every: pace, due: due + pace, to: channel)
        }
    }
}

extension ByteBuffer {
    /// Returns the body of the next request when all of it has arrived.
    mutating func readCheapRequest() -> ByteBuffer? {
        let found: (head: Int, length: Int)? = withUnsafeReadableBytes { raw in
            guard let end = raw.prefix(4096).firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
            let head = String(decoding: raw[..<end.lowerBound], as: UTF8.self).lowercased()
            guard let field = head.firstRange(of: "content-length: ") else { return (end.upperBound, 0) }
            return (end.upperBound, Int(head[field.upperBound...].prefix { $0.isNumber }) ?? 0)
        }
        guard let found, readableBytes >= found.head + found.length else { return nil }
        moveReaderIndex(forwardBy: found.head)
        let body = readSlice(length: found.length)
        if readableBytes == 0 { clear() }
        return body
    }
}
