import AsyncHTTPClient
import NIOCore

/// The HTTP client of one event loop.
struct LoopClient: Sendable {
    let http: HTTPClient
    let eventLoop: any EventLoop
    /// The connection that is handing on a response's head, or its own loss, at this moment. The HTTP client tells nobody which one that is.
    private let current: NIOLoopBoundBox<BodyPartJoiner?>

    init(eventLoop: any EventLoop, configuration: HTTPClient.Configuration) {
        let current = NIOLoopBoundBox<BodyPartJoiner?>.makeEmptyBox(valueType: BodyPartJoiner.self, eventLoop: eventLoop)
        var configuration = configuration
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture {
                try Self.addHandlers(to: channel, current: current)
                try AnswerBuffers.set(on: channel)
            }
        }
        self.eventLoop = eventLoop
        self.current = current
        http = HTTPClient(eventLoopGroup: eventLoop, configuration: configuration)
    }

    private static func addHandlers(to channel: any Channel, current: NIOLoopBoundBox<BodyPartJoiner?>) throws {
        try BodyPartJoiner.add(to: channel, current: current)
        try RequestJoiner.add(to: channel)
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
