import Foundation
import LocalDeployment

/// HAProxy in front of the replicas, with settings much like docker/haproxy's. One setting differs:
/// the streams of a replica that is down end at once, since a drill has no minute to wait.
struct HAProxy: Sendable {
    let process: ChildProcess
    let url: String

    static func start(before ports: [Int], directory: URL) async throws -> HAProxy {
        let port = try freePort()
        let servers = ports.enumerated().map { "    server replica-\($0.offset) 127.0.0.1:\($0.element)" }.joined(separator: "\n")
        let file = directory.appending(path: "haproxy.cfg")
        let text = """
            defaults
                mode http
                timeout connect 1s
                timeout client 60s
                timeout server 60s
                timeout http-request 15s
                timeout http-keep-alive 30s
                timeout queue 5s
                option redispatch 1
                retries 3
                retry-on conn-failure
                option http-no-delay
            frontend api
                bind 127.0.0.1:\(port)
                default_backend replicas
            backend replicas
                balance roundrobin
                option httpchk GET /health/ready
                http-check expect status 200
                default-server check inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
            \(servers)

            """
        try text.write(to: file, atomically: true, encoding: .utf8)
        let process = try ChildProcess("haproxy", ["-db", "-f", file.path], directory: directory)
        let haproxy = HAProxy(process: process, url: "http://127.0.0.1:\(port)")
        try await eventually("HAProxy has a replica; its log: \(process.log.suffix(500))") {
            guard process.isRunning else { throw NeverHappened(description: "HAProxy ended: \(process.log.suffix(500))") }
            return (try? await AgentClient(url: haproxy.url).get("/health/ready").status) == 200
        }
        return haproxy
    }
}
