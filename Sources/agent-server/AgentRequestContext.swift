import Hummingbird
import NIOCore

/// What a request knows of its connection.
struct AgentRequestContext: RequestContext, Sendable {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
