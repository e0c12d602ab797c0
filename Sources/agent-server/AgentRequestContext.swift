import Hummingbird
import NIOCore

/// What a request knows of its connection.
struct AgentRequestContext: RequestContext, Sendable {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// As it stands in the answer's `X-Request-ID` and in the log.
    var requestID = ""

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
