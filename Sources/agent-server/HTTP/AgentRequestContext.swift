import Hummingbird
import NIOCore
import SessionStore

/// One request's own values, and its connection.
struct AgentRequestContext: RequestContext, Sendable {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// The id that logs and the response give to the request.
    var requestID = ""
    /// The endpoint that the router found; nil before that.
    var endpoint: Endpoint?
    /// In whose name the request acts. Until a middleware has set it, the request may do nothing.
    var principal = Principal(tenant: .standard, requester: .tenant, scopes: [], accounts: [], credential: "none")
    let unknownMembers = UnknownMembers()

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// Whether the request came as HTTP/1.0.
    var isHTTP10: Bool {
        guard channel.eventLoop.inEventLoop else { return false }
        return (try? channel.pipeline.syncOperations.handler(type: HTTP10Handler.self))?.isOld ?? false
    }
}
