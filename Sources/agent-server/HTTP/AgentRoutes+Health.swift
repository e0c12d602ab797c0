import AgentService
import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `GET /health`, as the original had it.
    func health() -> Response {
        var body = ByteBuffer()
        body.writeString(#"{"status":"healthy","service":"agent-runtime","version":"#)
        body.writeJSONString(settings.version)
        body.writeString("}")
        return .json(body)
    }

    /// `GET /health/ready`: whether a load balancer should send requests here.
    func ready() throws -> Response {
        if scheduler.isDraining {
            throw Problem.draining("this replica is about to stop")
        }
        guard store.isReady else {
            throw Problem.storeUnavailable("Redis cannot be reached")
        }
        guard !store.layout.isNewer else { throw Problem(StoreError(.newerLayout, "the layout was raised")) }
        return .json("{\"status\":\"ready\"}")
    }
}
