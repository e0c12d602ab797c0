import Foundation
public import RedisClient
import SessionStore

/// A master, its replicas, and three sentinels that monitor them.
public final class RedisSentinels: Sendable {
    public static let masterName = "sessions"

    /// The servers. The first is the master at the start.
    public let servers: [RedisServer]
    public let sentinels: [Sentinel]

    public struct Sentinel: Sendable {
        public let port: Int
        public let process: ChildProcess
        /// The password for clients; nil if there is none.
        let password: String?
        /// The options of `redis-cli` for TLS; empty without TLS.
        let tlsOptions: [String]

        /// Returns what `redis-cli` prints for a command.
        @discardableResult
        public func cli(_ arguments: String...) throws -> String { try cli(arguments) }

        @discardableResult
        public func cli(_ arguments: [String]) throws -> String {
            let text =
                if tlsOptions.isEmpty {
                    RedisCommandLine(address: .tcp(port: port), password: password).output(arguments)
                } else {
                    try ChildProcess.output(
                        "redis-cli",
                        ["-p", "\(port)", "--raw"] + (password.map { ["--no-auth-warning", "-a", $0] } ?? []) + tlsOptions + arguments)
                }
            return text.hasSuffix("\n") ? String(text.dropLast()) : text
        }
    }

    /// Starts servers and sentinels, and waits until they know each other.
    ///
    /// - Parameters:
    ///   - replicas: The number of servers that follow the master at the start.
    ///   - options: Further lines of the servers' configuration, as command line arguments.
    ///   - password: The password that the servers demand from every client.
    ///   - sentinelPassword: The password that the sentinels demand from clients.
    ///   - tls: Options with certificates. With them, all connections use TLS.
    ///   - downAfter: How long a master may be silent before the sentinels replace it.
    ///   - clock: The servers' clock; nil for the system's. Sentinels always use the system's.
    public static func start(
        replicas: Int = 1, _ options: [String] = [], password: String? = nil, sentinelPassword: String? = nil,
        tls: [String]? = nil, downAfter: Duration = .milliseconds(500), clock: FakeClock? = nil
    ) async throws -> RedisSentinels {
        var options = ["--repl-diskless-sync-delay", "0"] + options
        if let password { options += ["--requirepass", password, "--masterauth", password] }
        if tls != nil { options += ["--tls-replication", "yes"] }
        let master = try await RedisServer.start(options, clock: clock, tls: tls)
        var servers = [master]
        for _ in 0..<replicas {
            servers.append(
                try await RedisServer.start(["--replicaof", "127.0.0.1", "\(master.port)"] + options, clock: clock, tls: tls))
        }
        var sentinels: [Sentinel] = []
        for _ in 0..<3 {
            let port = try freePort()
            let directory = try temporaryDirectory()
            var lines = [
                "bind 127.0.0.1", "dir \(directory.path)", "sentinel monitor \(masterName) 127.0.0.1 \(master.port) 2",
                "sentinel down-after-milliseconds \(masterName) \(downAfter.milliseconds)",
                "sentinel failover-timeout \(masterName) 4000",
            ]
            if let password { lines.append("sentinel auth-pass \(masterName) \(password)") }
            if let sentinelPassword {
                lines += ["requirepass \(sentinelPassword)", "sentinel sentinel-pass \(sentinelPassword)"]
            }
            if let tls {
                lines += ["port 0", "tls-port \(port)", "tls-replication yes"]
                lines += stride(from: 0, to: tls.count - 1, by: 2).map { "\(tls[$0].dropFirst(2)) \(tls[$0 + 1])" }
            } else {
                lines.append("port \(port)")
            }
            let file = directory.appending(path: "sentinel.conf")
            try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
            let process = try ChildProcess("redis-server", [file.path, "--sentinel"], directory: directory)
            sentinels.append(
                Sentinel(
                    port: port, process: process, password: sentinelPassword, tlsOptions: tls.map { RedisServer.cliOptions(tls: $0) } ?? [])
            )
        }
        let all = RedisSentinels(servers: servers, sentinels: sentinels)
        try await all.settle()
        return all
    }

    private init(servers: [RedisServer], sentinels: [Sentinel]) {
        (self.servers, self.sentinels) = (servers, sentinels)
    }

    /// Waits until the sentinels know each other and the replicas, and until the replicas have all
    /// of the master's data.
    public func settle() async throws {
        try await eventually("the sentinels know all servers", timeout: .seconds(30)) {
            sentinels.allSatisfy { sentinel in
                guard let lines = try? sentinel.cli("SENTINEL", "MASTER", Self.masterName).split(separator: "\n").map(String.init) else {
                    return false
                }
                let fields = Dictionary(stride(from: 0, to: lines.count - 1, by: 2).map { (lines[$0], lines[$0 + 1]) }) { $1 }
                return fields["num-slaves"] == "\(servers.count - 1)" && fields["num-other-sentinels"] == "2" && fields["flags"] == "master"
            }
        }
        try await eventually("the replicas follow", timeout: .seconds(30)) {
            try servers.dropFirst().allSatisfy { try $0.cli("INFO", "replication").contains("master_link_status:up") }
        }
    }

    public var url: String { url() }

    public func url(scheme: String = "redis-sentinel", credentials: String = AccessRules.credentials, query: String = "") -> String {
        "\(scheme)://\(credentials)\(sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))/\(Self.masterName)\(query)"
    }

    public func configuration(query: String = "") throws -> RedisConfiguration { try RedisConfiguration(url: url(query: query)) }

    /// Returns the port of the server that the sentinels consider the master.
    public func masterPort() throws -> Int? {
        for sentinel in sentinels where sentinel.process.isRunning {
            let reply = try sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.masterName)
            if let port = reply.split(separator: "\n").last.flatMap({ Int($0) }) { return port }
        }
        return nil
    }

    /// Returns the server that considers itself the master.
    public func master() throws -> RedisServer? {
        try servers.first { try $0.process.isRunning && $0.cli("ROLE").hasPrefix("master") }
    }

    public func stop() async throws {
        for process in sentinels.map(\.process) + servers.map(\.process) {
            process.signal(SIGCONT)
            process.signal(SIGKILL)
            try await process.ended()
        }
    }
}
