import Locks
import NIOCore
import NIOPosix
import RedisClient
import TestSupport

/// A loopback proxy to Redis that drops chosen requests or replies, and then closes the connection.
final class ReplyEater: Sendable {
    enum Loss: Sendable {
        /// Redis executes the command, and its reply never arrives.
        case reply
        /// Redis never receives the command.
        case request
    }

    private struct State {
        var losses: [(part: [UInt8], loss: Loss, goesAway: Bool)] = []
        var lost = 0
        var isAway = false
        var open: [ObjectIdentifier: any Channel] = [:]
    }

    private let state = Guarded(State())
    private let socket: String
    private let listener = Guarded<(any Channel)?>(nil)

    init(_ redis: RedisServer) async throws {
        socket = redis.socket
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { [self] client in accept(client) }
        let channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        listener.withLock { $0 = channel }
    }

    var port: Int { listener.withLock { $0?.localAddress?.port } ?? 0 }
    /// The number of losses so far.
    var lost: Int { state.withLock { $0.lost } }

    /// Drops the next command that contains `part`, after those of earlier calls. With `goesAway`,
    /// Redis is unreachable afterwards.
    func lose(_ loss: Loss, of part: String, goesAway: Bool = false) {
        state.withLock { $0.losses.append((Array(part.utf8), loss, goesAway)) }
    }

    /// Cuts all connections, and refuses new ones until ``comeBack()``.
    func goAway() {
        let channels = state.withLock { state in
            state.isAway = true
            return Array(state.open.values)
        }
        for channel in channels { channel.close(promise: nil) }
    }

    func comeBack() {
        state.withLock { $0.isAway = false }
    }

    func close() async throws {
        goAway()
        try await listener.withLock { $0 }?.close()
    }

    // MARK: Connections

    private func accept(_ client: any Channel) -> EventLoopFuture<Void> {
        guard !state.withLock({ $0.isAway }) else { return client.close() }
        return ClientBootstrap(group: client.eventLoop).connect(unixDomainSocketPath: socket).flatMapThrowing { [self] server in
            let link = Link()
            try client.pipeline.syncOperations.addHandler(RequestHandler(eater: self, link: link, client: client, server: server))
            try server.pipeline.syncOperations.addHandler(ReplyHandler(eater: self, link: link, client: client))
            client.closeFuture.whenComplete { _ in
                self.state.withLock { _ = $0.open.removeValue(forKey: ObjectIdentifier(client)) }
                server.close(promise: nil)
            }
            server.closeFuture.whenComplete { _ in client.close(promise: nil) }
            let isAway = self.state.withLock { state in
                state.open[ObjectIdentifier(client)] = client
                return state.isAway
            }
            // The proxy became unreachable while this connection was being opened.
            if isAway { client.close(promise: nil) }
        }
    }

    fileprivate func loss(of request: ByteBuffer) -> (loss: Loss, goesAway: Bool)? {
        state.withLock { state in
            guard let next = state.losses.first, request.readableBytesView.firstRange(of: next.part) != nil else { return nil }
            state.losses.removeFirst()
            return (next.loss, next.goesAway)
        }
    }

    fileprivate func happened(on client: any Channel, goesAway: Bool) {
        state.withLock { $0.lost += 1 }
        if goesAway { goAway() }
        client.close(promise: nil)
    }
}

/// The two directions of a connection, on one event loop.
private final class Link {
    static let marker = "the-end-of-what-is-lost"
    var isEating = false
    var goesAway = false
}

private final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let eater: ReplyEater
    private let link: Link
    private let client: any Channel
    private let server: any Channel
    private var buffer = ByteBuffer()

    init(eater: ReplyEater, link: Link, client: any Channel, server: any Channel) {
        (self.eater, self.link, self.client, self.server) = (eater, link, client, server)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        buffer.writeImmutableBuffer(unwrapInboundIn(data))
        while !link.isEating, let request = buffer.readRequest() {
            guard let (loss, goesAway) = eater.loss(of: request) else {
                server.write(request, promise: nil)
                continue
            }
            (link.isEating, link.goesAway) = (true, goesAway)
            switch loss {
            case .reply:
                server.write(request, promise: nil)
                // The reply to this command proves that Redis has executed the one before it.
                server.write(ByteBuffer(string: "ECHO \(Link.marker)\r\n"), promise: nil)
            case .request:
                eater.happened(on: client, goesAway: goesAway)
            }
        }
        server.flush()
    }
}

private final class ReplyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let eater: ReplyEater
    private let link: Link
    private let client: any Channel
    private var eaten = ByteBuffer()

    init(eater: ReplyEater, link: Link, client: any Channel) {
        (self.eater, self.link, self.client) = (eater, link, client)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let reply = unwrapInboundIn(data)
        guard link.isEating else { return client.writeAndFlush(reply, promise: nil) }
        eaten.writeImmutableBuffer(reply)
        if eaten.readableBytesView.firstRange(of: Array(Link.marker.utf8)) != nil {
            eater.happened(on: client, goesAway: link.goesAway)
        }
    }
}

extension ByteBuffer {
    /// Returns a whole command in RESP; nil if more bytes are needed.
    fileprivate mutating func readRequest() -> ByteBuffer? {
        var rest = self
        guard let count = rest.readNumberLine() else { return nil }
        for _ in 0..<count {
            guard let length = rest.readNumberLine(), rest.readSlice(length: length + 2) != nil else { return nil }
        }
        return readSlice(length: readableBytes - rest.readableBytes)
    }

    /// Reads a line such as `*3\r
    /// ` or `$5\r
    /// `.
    private mutating func readNumberLine() -> Int? {
        guard let end = readableBytesView.firstIndex(of: 0x0D), let line = readString(length: end - readerIndex),
            readSlice(length: 2) != nil
        else { return nil }
        return Int(line.dropFirst())
    }
}
