import AsyncHTTPClient
import NIOCore

/// The HTTP client of one event loop.
struct PerEventLoopHTTPClient: Sendable {
    let http: HTTPClient
    let eventLoop: any EventLoop
    /// The connection that is passing on a response's head, or its own loss, at this moment. The
    /// HTTP client's delegate does not learn which one that is.
    private let current: NIOLoopBoundBox<ResponseBodyCoalescer?>

    init(eventLoop: any EventLoop, configuration: HTTPClient.Configuration) {
        let current = NIOLoopBoundBox<ResponseBodyCoalescer?>.makeEmptyBox(valueType: ResponseBodyCoalescer.self, eventLoop: eventLoop)
        var configuration = configuration
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture {
                try Self.addHandlers(to: channel, current: current)
                try ResponseReceiveAllocator.set(on: channel)
            }
        }
        self.eventLoop = eventLoop
        self.current = current
        http = HTTPClient(eventLoopGroup: eventLoop, configuration: configuration)
    }

    private static func addHandlers(to channel: any Channel, current: NIOLoopBoundBox<ResponseBodyCoalescer?>) throws {
        try ResponseBodyCoalescer.add(to: channel, current: current)
        try RequestFlushCoalescer.add(to: channel)
    }

    /// Adds to a connection that was made elsewhere what this client adds to each of its own.
    func prepare(_ channel: any Channel) throws {
        try Self.addHandlers(to: channel, current: current)
    }

    /// Passes the body that follows the head to `receiver` directly, without the HTTP client's
    /// detour. To be called on the event loop, within `didReceiveHead`.
    func passBody(to receiver: any BodyReceiver) {
        current.value?.receiver = receiver
    }

    /// Whether the connection that reports at this moment has carried an earlier response. To be
    /// read on the event loop, while the HTTP client reports a head or a loss; false at other
    /// times.
    var isConnectionKept: Bool { current.value?.isKept ?? false }
}
