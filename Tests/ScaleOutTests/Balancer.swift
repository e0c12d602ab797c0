import Foundation
import SessionStore
import TestSupport

/// A balancer of docker/ before replicas. Its settings are unchanged, except for its own address
/// and Docker's names.
struct Balancer: Sendable {
    enum Kind: CaseIterable { case nginx, haproxy }

    static let docker = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docker").standardizedFileURL

    let process: ChildProcess
    let client: AgentClient

    static func start(_ kind: Kind, before replicas: [Replica]) async throws -> Balancer {
        let port = try freePort()
        let directory = try temporaryDirectory()
        let process =
            switch kind {
            case .nginx: try nginx(port: port, before: replicas, directory: directory)
            case .haproxy: try haproxy(port: port, before: replicas, directory: directory)
            }
        let balancer = Balancer(process: process, client: AgentClient(url: "http://127.0.0.1:\(port)"))
        try await eventually("\(kind) answers; its log: \(process.log)") {
            guard process.isRunning else { throw NeverHappened(description: "\(kind) ended: \(process.log)") }
            return (try? await balancer.client.get("/health/ready").status) == 200
        }
        return balancer
    }

    private static func address(_ replica: Replica) -> Substring { replica.url.dropFirst("http://".count) }

    private static func text(of file: String) throws -> String {
        try String(contentsOf: docker.appending(path: file), encoding: .utf8)
    }

    private static func haproxy(port: Int, before replicas: [Replica], directory: URL) throws -> ChildProcess {
        let servers = replicas.map { "server \($0.name) \(address($0))" }.joined(separator: "\n    ")
        let file = directory.appending(path: "haproxy.cfg")
        try text(of: "haproxy/haproxy.cfg")
            .replacing("bind :8001", with: "bind 127.0.0.1:\(port)")
            .replacing("server-template replica 20 agent-runtime:8001 resolvers docker init-addr none", with: servers)
            .write(to: file, atomically: true, encoding: .utf8)
        let defaults = docker.appending(path: "haproxy/defaults.cfg").path
        return try ChildProcess("haproxy", ["-db", "-f", defaults, "-f", file.path], directory: directory)
    }

    /// Debian's nginx does not support `resolve`, so that each replica gets a line of its own with
    /// the other parameters.
    private static func nginx(port: Int, before replicas: [Replica], directory: URL) throws -> ChildProcess {
        let file = directory.appending(path: "nginx.conf")
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(directory.path)/\($0);" }
        try text(of: "nginx.conf")
            .replacing(/server agent-runtime:8001 resolve ([^;]*);/) { match in
                replicas.map { "server \(address($0)) \(match.output.1);" }.joined(separator: " ")
            }
            .replacing("listen 8001;", with: "listen 127.0.0.1:\(port);")
            .replacing("pid /run/nginx.pid;", with: "pid \(directory.path)/nginx.pid;")
            .replacing(/include nginx\/([^;]*);/) { "include \"\(docker.path)/nginx/\($0.output.1)\";" }
            .replacing("http {", with: "http {\n    " + folders.joined(separator: "\n    "))
            .write(to: file, atomically: true, encoding: .utf8)
        return try ChildProcess(
            "nginx", ["-p", directory.path, "-c", file.path, "-e", "stderr", "-g", "daemon off;"], directory: directory, hasOwnGroup: true)
    }
}
