import Foundation
import NIOCore
import NIOPosix
import Synchronization

extension Bench {
    /// What the server adds to each token's way when models are as slow as models are: answers of 100 tokens, some ms apart, one after the other on each
    /// connection. The first ones are not counted: they open connections.
    func paced(_ path: String) async throws {
        say(
            "\npaced: 100 tokens, \(pace) ms apart; the time from the model's write to the client's read; \(pacedRounds) answers per stream"
        )
        row([
            ("streams", 8), ("ms p50", 8), ("p99", 8), ("upstream alone p50", 18), ("p99", 8), ("added p50", 10), ("p99", 8),
            ("server CPU us/token", 19), ("Redis CPU us/token", 18), ("failures", 8),
        ])
        for streams in pacedStreams {
            let setup = try await Setup(server: path)
            let body = #"{"model":"m","stream":true,"messages":[{"role":"user","content":"pace \#(pace)"}]}"#
            let direct = try await delays(streams, port: setup.upstream.port, group: setup.group) { _ in
                LoadClient.post("/v1/chat/completions", body)
            }
            let before = (server: setup.server.cpuSeconds, redis: setup.redis.cpuSeconds)
            let through = try await delays(streams, port: setup.port, group: setup.group) { [pace] in
                LoadClient.message("pace \(pace)", session: "p-\($0)")
            }
            // The first answers have their part in it.
            let perToken = 1e6 / Double(max(1, through.delays.count)) * Double(pacedRounds) / Double(pacedRounds + 1)
            let server = (setup.server.cpuSeconds - before.server) * perToken
            let redis = (setup.redis.cpuSeconds - before.redis) * perToken
            let (p50, p99) = (through.delays.percentile(0.5), through.delays.percentile(0.99))
            let (direct50, direct99) = (direct.delays.percentile(0.5), direct.delays.percentile(0.99))
            row([
                ("\(streams)", 8), (format(p50, 3), 8), (format(p99, 3), 8), (format(direct50, 3), 18), (format(direct99, 3), 8),
                (format(p50 - direct50, 3), 10), (format(p99 - direct99, 3), 8), (format(server, 1), 19), (format(redis, 1), 18),
                ("\(through.failures.count)", 8),
            ])
            if let failure = through.failures.first { say("  a failure: \(failure)") }
            try await setup.stop()
        }
    }

    private func delays(
        _ streams: Int, port: Int, group: any EventLoopGroup, request: @escaping @Sendable (Int) -> ByteBuffer
    ) async throws -> (delays: [Double], failures: [String]) {
        let (rounds, spread) = (pacedRounds, max(500_000, pace * 25_000))
        return try await withThrowingTaskGroup(of: PacedAnswer.self) { tasks in
            for stream in 0..<streams {
                tasks.addTask {
                    // They begin apart, so that what is measured is tokens and not the rush of the beginning.
                    try await Task.sleep(for: .microseconds(Int.random(in: 0..<spread)))
                    let promise = group.next().makePromise(of: PacedAnswer.self)
                    _ = try await ClientBootstrap(group: promise.futureResult.eventLoop)
                        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                        .channelInitializer { channel in
                            channel.eventLoop.makeCompletedFuture {
                                try channel.pipeline.syncOperations.addHandler(
                                    DelayHandler(request(stream), rounds: rounds, promise: promise))
                            }
                        }
                        .connect(host: "127.0.0.1", port: port).get()
                    return try await promise.futureResult.get()
                }
            }
            var all: [Double] = []
            var failures: [String] = []
            for try await answer in tasks {
                all += answer.delays
                if answer.delays.count != pacedRounds * 100 { failures.append("\(answer.delays.count) tokens, then \(answer.end)") }
            }
            return (all, failures)
        }
    }
}

private struct PacedAnswer: Sendable {
    var delays: [Double]
    /// What came last.
    var end: String
}

/// Reads answers and measures how old each token's time is when it arrives; not in the first one.
private final class DelayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: ByteBuffer
    private let rounds: Int
    private let promise: EventLoopPromise<PacedAnswer>
    private var delays: [Double] = []
    private var round = 0
    /// Tokens of this answer.
    private var count = 0
    private var pending = ByteBuffer()
    private var last = ByteBuffer()

    init(_ request: ByteBuffer, rounds: Int, promise: EventLoopPromise<PacedAnswer>) {
        self.request = request
        self.rounds = rounds
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = NIODeadline.now().uptimeNanoseconds
        var bytes = unwrapInboundIn(data)
        last = bytes
        if pending.readableBytes > 0 {
            pending.writeBuffer(&bytes)
            bytes = pending
        }
        // A token is `t=DIGITS `. The whole text comes once more at the end, when all tokens were seen.
        let (read, isDone) = bytes.withUnsafeReadableBytes { raw -> (Int, Bool) in
            guard let base = raw.baseAddress else { return (0, false) }
            var index = 0
            while count < 100, let mark = memchr(base + index, 0x74, raw.count - index) {
                var end = UnsafeRawPointer(mark) - base + 1
                if end < raw.count, raw[end] != UInt8(ascii: "=") {
                    index = end
                    continue
                }
                end += 1
                var sent: UInt64 = 0
                while end < raw.count, 0x30...0x39 ~= raw[end] {
                    sent = sent * 10 + UInt64(raw[end] - 0x30)
                    end += 1
                }
                guard end < raw.count else { return (UnsafeRawPointer(mark) - base, false) }
                if sent > 0 {
                    count += 1
                    if round > 0 { delays.append(Double(now - sent) / 1e6) }
                }
                index = end
            }
            return (max(index, raw.count - 5), raw.count >= 5 && memcmp(base + raw.count - 5, "0\r\n\r\n", 5) == 0)
        }
        bytes.moveReaderIndex(forwardBy: read)
        pending = bytes
        pending.discardReadBytes()
        guard isDone else { return }
        guard round < rounds, count == 100 else { return context.close(promise: nil) }
        round += 1
        count = 0
        pending.clear()
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.succeed(PacedAnswer(delays: delays, end: String(String(buffer: last).suffix(300))))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
