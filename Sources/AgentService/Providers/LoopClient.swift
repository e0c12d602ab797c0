import AsyncHTTPClient
import NIOCore

/// The HTTP client of one event loop.
struct LoopClient: Sendable {
    let http: HTTPClient
    let eventLoop: any EventLoop
    /// The connection that is handing on a response's head at this moment.
    private let current: NIOLoopBoundBox<BodyPartJoiner?>

    /// - Parameter onConnect: Called with each new connection, on the event loop.
    init(
        eventLoop: any EventLoop, configuration: HTTPClient.Configuration,
        onConnect: @escaping @Sendable (any Channel) throws -> Void
    ) {
        let current = NIOLoopBoundBox<BodyPartJoiner?>.makeEmptyBox(valueType: BodyPartJoiner.self, eventLoop: eventLoop)
        var configuration = configuration
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture {
                try BodyPartJoiner.add(to: channel, current: current)
                try onConnect(channel)
            }
        }
        self.eventLoop = eventLoop
        self.current = current
        http = HTTPClient(eventLoopGroup: eventLoop, configuration: configuration)
    }

    /// Has the body that follows the head handed to `receiver` without the HTTP client's detour. To be called within `didReceiveHead`.
    func passBody(to receiver: any BodyReceiver) {
        guard eventLoop.inEventLoop else { return }
        current.value?.receiver = receiver
    }
}
