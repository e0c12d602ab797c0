import Hummingbird
import NIOCore

/// What a request knows of its connection.
struct AgentRequestContext: RequestContext, Sendable {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// As logs and the answer name the request.
    var requestID = ""

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// The request came as HTTP/1.0.
    var isHTTP10: Bool {
        guard channel.eventLoop.inEventLoop else { return false }
        return (try? channel.pipeline.syncOperations.handler(type: HTTP10Handler.self))?.isOld ?? false
    }
}
