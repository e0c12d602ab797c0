import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import TestSupport

@testable import agent_server

/// A server within the test's own process, built by `buildServer(settings:)`.
///
/// Unless the environment names a Redis, its Redis is away: for tests of what the server decides
/// before it asks Redis. Such a server starts and stops within milliseconds.
enum InProcess {
    static func server(_ environment: [String: String] = [:]) async throws -> BuiltServer {
        let defaults = [
            // Nothing listens on the port.
            "AGENT_RUNTIME__REDIS_URL": "redis://127.0.0.1:1", "AGENT_RUNTIME__REPLICA": "in-process",
            "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "0", "PORT": "0",
        ]
        let reader = try SettingsReader(environment: defaults.merging(environment) { $1 }, flags: [])
        return try await buildServer(settings: Settings(reader), logger: .quiet)
    }

    /// Hands requests to the router: for responses with a body. There is no connection, so a stream
    /// cannot be written.
    static func router<Value>(
        _ environment: [String: String] = [:], _ body: @Sendable (any TestClientProtocol) async throws -> Value
    ) async throws -> Value {
        try await server(environment).inProcess.test(.router, body)
    }

    /// Serves on a port of its own: for streams, and for what connections and hosts decide.
    static func live<Value>(
        _ environment: [String: String] = [:], _ body: @Sendable (_ port: Int, AgentClient) async throws -> Value
    ) async throws -> Value {
        try await server(environment).inProcess.test(.live) { client in
            let port = try client.port.unwrapped("the port of a live server")
            return try await body(port, AgentClient(url: "http://localhost:\(port)"))
        }
    }
}

extension Optional {
    fileprivate func unwrapped(_ what: String) throws -> Wrapped {
        guard let self else { throw NeverHappened(description: what) }
        return self
    }
}

extension TestClientProtocol {
    /// Sends a request with a JSON body, declared as such unless `headers` says otherwise.
    func send(
        _ method: HTTPRequest.Method, _ path: String, body: String? = nil, headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        var headers = headers
        if body != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
        return try await execute(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    }
}

extension TestResponse {
    var text: String { String(buffer: body) }
    var json: JSON { (try? JSON(parsing: body)) ?? .null }
    var code: String? { json["code"].string }
}
