import AsyncHTTPClient
import NIOCore

/// The HTTP client of one event loop.
struct PerEventLoopHTTPClient: Sendable {
    let http: HTTPClient
    let eventLoop: any EventLoop
    /// The connection that is handing on a response's head, or its own loss, at this moment. The HTTP client tells nobody which one that is.
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

    /// Adds what this client adds to each of its connections. For connections that are made
    /// elsewhere.
    func prepare(_ channel: any Channel) throws {
        try Self.addHandlers(to: channel, current: current)
    }

    /// Has the body that follows the head handed to `receiver` without the HTTP client's detour. To be called on the event loop, within `didReceiveHead`.
    func passBody(to receiver: any BodyReceiver) {
        current.value?.receiver = receiver
    }

    /// Whether the connection that is told of at this moment has carried an earlier response. To be called on the event loop, within what the HTTP client
    /// tells of a head or a loss; false elsewhere.
    var isConnectionKept: Bool { current.value?.isKept ?? false }
}
