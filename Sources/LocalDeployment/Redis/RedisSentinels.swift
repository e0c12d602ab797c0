import Foundation
public import RedisClient
import SessionStore

/// A master, its replicas, and three sentinels that watch over them.
public final class RedisSentinels: Sendable {
    public static let masterName = "sessions"

    /// The first one is the master at the start.
    public let servers: [RedisServer]
    public let sentinels: [Sentinel]

    public struct Sentinel: Sendable {
        public let port: Int
        public let process: ChildProcess
        let credentials: [String]

        /// What `redis-cli` prints for a command.
        @discardableResult
        public func cli(_ arguments: String...) throws -> String { try cli(arguments) }

        @discardableResult
        public func cli(_ arguments: [String]) throws -> String {
            let text = try ChildProcess.output("redis-cli", ["-p", "\(port)", "--raw"] + credentials + arguments)
            return text.hasSuffix("\n") ? String(text.dropLast()) : text
        }
    }

    /// - Parameters:
    ///   - replicas: How many servers follow the master at the start.
    ///   - options: Further lines of the servers' configuration, as command line arguments.
    ///   - password: What the servers want from everybody.
    ///   - sentinelPassword: What the sentinels want from clients.
    ///   - tls: Options with certificates: then everything goes over TLS.
    ///   - downAfter: How long a master may be silent before it is replaced.
    ///   - clock: The servers', where that is not the system's. Sentinels have the system's.
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
            var credentials: [String] = []
            var lines = [
                "bind 127.0.0.1", "dir \(directory.path)", "sentinel monitor \(masterName) 127.0.0.1 \(master.port) 2",
                "sentinel down-after-milliseconds \(masterName) \(downAfter.milliseconds)",
                "sentinel failover-timeout \(masterName) 4000",
            ]
            if let password { lines.append("sentinel auth-pass \(masterName) \(password)") }
            if let sentinelPassword {
                lines += ["requirepass \(sentinelPassword)", "sentinel sentinel-pass \(sentinelPassword)"]
                credentials += ["--no-auth-warning", "-a", sentinelPassword]
            }
            if let tls {
                lines += ["port 0", "tls-port \(port)", "tls-replication yes"]
                lines += stride(from: 0, to: tls.count - 1, by: 2).map { "\(tls[$0].dropFirst(2)) \(tls[$0 + 1])" }
                credentials += RedisServer.cliOptions(tls: tls)
            } else {
                lines.append("port \(port)")
            }
            let file = directory.appending(path: "sentinel.conf")
            try lines.joined(separator: "\n").write(to: file, atomically: true, encoding: .utf8)
            let process = try ChildProcess("redis-server", [file.path, "--sentinel"], directory: directory)
            sentinels.append(Sentinel(port: port, process: process, credentials: credentials))
        }
        let all = RedisSentinels(servers: servers, sentinels: sentinels)
        try await all.settle()
        return all
    }

    private init(servers: [RedisServer], sentinels: [Sentinel]) {
        (self.servers, self.sentinels) = (servers, sentinels)
    }

    /// Returns when the sentinels know each other and the replicas, which have what the master has.
    public func settle() async throws {
        try await eventually("the sentinels know all", timeout: .seconds(30)) {
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

    /// Where the sentinels say that the master is.
    public func masterPort() throws -> Int? {
        for sentinel in sentinels where sentinel.process.isRunning {
            let answer = try sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.masterName)
            if let port = answer.split(separator: "\n").last.flatMap({ Int($0) }) { return port }
        }
        return nil
    }

    /// The server that is the master by its own word.
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
