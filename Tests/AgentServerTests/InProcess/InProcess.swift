import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import TestSupport

@testable import agent_server

/// A server within the test's own process, built by `buildServer(settings:)`.
///
/// Unless the environment names a Redis, no Redis is reachable: this suits tests of decisions that
/// precede the first command to Redis. Such a server starts and stops within milliseconds.
enum InProcess {
    static func server(_ environment: [String: String] = [:]) async throws -> BuiltServer {
        let defaults = [
            // No process listens on this port.
            "AGENT_RUNTIME__REDIS_URL": "redis://127.0.0.1:1", "AGENT_RUNTIME__REPLICA": "in-process",
            "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "0", "PORT": "0",
        ]
        let reader = try SettingsReader(environment: defaults.merging(environment) { $1 }, flags: [])
        return try await buildServer(settings: Settings(reader), logger: .quiet)
    }

    /// Passes requests to the router without a connection: for responses with a body. Streams need
    /// a connection, and cannot be tested in this way.
    static func router<Value>(
        _ environment: [String: String] = [:], _ body: @Sendable (any TestClientProtocol) async throws -> Value
    ) async throws -> Value {
        try await server(environment).inProcess.test(.router, body)
    }

    /// Listens on a port of its own: for streams, and for decisions that depend on connections and
    /// hosts.
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
    /// Sends a request with a JSON body, and declares the type unless `headers` contains one.
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
