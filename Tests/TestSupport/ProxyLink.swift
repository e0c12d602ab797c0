import Locks
import NIOCore
import NIOPosix

/// One client's connection through a ``FaultyProxy``, and the proxy's connection to the server.
/// Both use one event loop.
final class ProxyLink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let rules: ProxyRules
    private var number: Int?
    private var client: (any Channel)?
    private var server: (any Channel)?
    private var requests = ByteBuffer()
    /// Bytes for the server that wait until the connection to it is open.
    private var unsent = ByteBuffer()
    private var replies = ByteBuffer()
    private var held = ByteBuffer()
    /// Bytes that wait for the slow link.
    private var paced = ByteBuffer()
    private var isPacing = false
    /// The faults of requests whose reply is due, in order.
    private var due = CircularBuffer<Due>()
    /// How many of these requests count as round trips.
    private var counted = 0
    private var isHolding = false
    private var isSilent = false

    private struct Due {
        var fault: FaultyProxy.Fault?
        var counts: Bool
    }

    init(_ rules: ProxyRules) {
        self.rules = rules
    }

    // MARK: The client's side

    func channelActive(context: ChannelHandlerContext) {
        client = context.channel
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        guard let (number, target) = rules.opened(ProxyRules.Link(eventLoop: eventLoop, value: bound)) else {
            return context.close(promise: nil)
        }
        self.number = number
        ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ServerSide(bound.value)) }
            }
            .connect(host: "127.0.0.1", port: target).assumeIsolated()
            .whenComplete { result in
                guard case .success(let channel) = result, bound.value.client != nil else {
                    if case .success(let channel) = result { channel.close(promise: nil) }
                    return bound.value.cut()
                }
                bound.value.server = channel
                channel.writeAndFlush(bound.value.unsent, promise: nil)
                bound.value.unsent.clear()
            }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let input = unwrapInboundIn(data)
        guard !rules.isRaw else { return forward(input) }
        requests.writeImmutableBuffer(input)
        while let request = RESPFrame.next(&requests) {
            let words = RESPFrame.words(request)
            let fault = rules.fault(for: words)
            if case .loseRequest? = fault { return cut() }
            let counts = rules.noteRoundTrip(words, isIdle: counted == 0)
            counted += counts ? 1 : 0
            due.append(Due(fault: fault, counts: counts))
            if case .answer? = fault {} else { forward(request) }
        }
        requests.discardReadBytes()
        pump()
    }

    func channelInactive(context: ChannelHandlerContext) { cut() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { cut() }

    private func forward(_ request: ByteBuffer) {
        if let server { server.writeAndFlush(request, promise: nil) } else { unsent.writeImmutableBuffer(request) }
    }

    // MARK: The server's side

    private final class ServerSide: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let link: ProxyLink

        init(_ link: ProxyLink) { self.link = link }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { link.received(unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { link.cut() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { link.cut() }
    }

    private func received(_ bytes: ByteBuffer) {
        guard !rules.isRaw else { return deliver(bytes) }
        replies.writeImmutableBuffer(bytes)
        pump()
    }

    /// Delivers every reply that is due.
    private func pump() {
        while client != nil {
            if case .answer(let text)? = due.first?.fault {
                answered()
                deliver(ByteBuffer(string: text))
                continue
            }
            guard let reply = RESPFrame.next(&replies) else { break }
            guard !RESPFrame.isPush(reply) else {
                deliver(reply)
                continue
            }
            switch answered() {
            case nil, .answer, .loseRequest: deliver(reply)
            case .loseReply: return cut()
            case .swallowReply: isSilent = true
            case .holdReply:
                isHolding = true
                deliver(reply)
            case .cutReply(let count):
                deliver(reply.getSlice(at: reply.readerIndex, length: min(count, reply.readableBytes)) ?? reply)
                return cut()
            }
        }
        replies.discardReadBytes()
    }

    /// Removes the oldest request when its reply has arrived.
    @discardableResult private func answered() -> FaultyProxy.Fault? {
        guard let oldest = due.popFirst() else { return nil }
        counted -= oldest.counts ? 1 : 0
        return oldest.fault
    }

    private func deliver(_ reply: ByteBuffer) {
        guard !isSilent else { return }
        let isHeld = rules.state.withLock { state in
            guard isHolding || state.isHolding else { return false }
            state.held += 1
            return true
        }
        // Held bytes are sent first, also while they are being released.
        if isHeld || held.readableBytes > 0 { held.writeImmutableBuffer(reply) } else { send(reply) }
    }

    private func send(_ reply: ByteBuffer) {
        guard rules.isSlow || isPacing, let client else {
            self.client?.writeAndFlush(reply, promise: nil)
            return
        }
        paced.writeImmutableBuffer(reply)
        guard !isPacing else { return }
        isPacing = true
        pace(client)
    }

    /// Sends a part of the bytes when the link, which all connections share, would have sent it.
    private func pace(_ client: any Channel) {
        guard let part = paced.readSlice(length: min(paced.readableBytes, 16 << 10)), part.readableBytes > 0 else {
            isPacing = false
            return
        }
        if paced.readableBytes == 0 { paced = ByteBuffer() }
        let bound = NIOLoopBound(self, eventLoop: client.eventLoop)
        client.eventLoop.scheduleTask(deadline: rules.reserve(part.readableBytes)) {
            client.writeAndFlush(part, promise: nil)
            bound.value.pace(client)
        }
    }

    // MARK: Called by the proxy

    func release() {
        isHolding = false
        rules.state.withLock { $0.held = 0 }
        client?.writeAndFlush(held, promise: nil)
        held.clear()
    }

    func cut() {
        if let number { rules.state.withLock { _ = $0.links.removeValue(forKey: number) } }
        let (client, server) = (client, server)
        (self.client, self.server) = (nil, nil)
        client?.close(promise: nil)
        server?.close(promise: nil)
    }
}
