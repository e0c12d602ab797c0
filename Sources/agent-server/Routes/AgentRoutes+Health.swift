import AgentService
import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// The original's health answer.
    func health() -> Response {
        var body = ByteBuffer()
        body.writeString(#"{"status":"healthy","service":"agent-runtime","version":"#)
        body.writeJSONString(settings.version)
        body.writeString("}")
        return .json(body)
    }

    /// Whether a load balancer should send requests here.
    func ready() throws -> Response {
        if scheduler.isDraining {
            throw Problem(.serviceUnavailable, "draining", "this replica is about to stop").retry(after: .seconds(1))
        }
        guard store.isReady else {
            throw Problem(.serviceUnavailable, "store_unavailable", "Redis cannot be reached").retry(after: .seconds(1))
        }
        guard !store.layout.isNewer else { throw Problem(StoreError(.newerLayout, "the layout was raised")) }
        return .json("{\"status\":\"ready\"}")
    }
}
