import Foundation
public import RedisClient
public import SessionStore

/// A Redis Cluster on loopback: masters, and replicas of each if a test needs failovers.
public final class RedisCluster: Sendable {
    public let nodes: [RedisServer]

    private init(nodes: [RedisServer]) {
        self.nodes = nodes
    }

    /// Starts a cluster and waits until it serves all slots.
    ///
    /// - Parameters:
    ///   - replicas: The number of replicas of each master.
    ///   - program: The nodes' program: a name or a path.
    ///   - tls: Options with certificates. With them, all connections use TLS.
    ///   - clock: The nodes' clock; nil for the system's.
    public static func start(
        masters: Int = 3, replicas: Int = 0, program: String = RedisServer.defaultProgram, tls: [String]? = nil, clock: FakeClock? = nil
    ) async throws -> RedisCluster {
        var nodes: [RedisServer] = []
        for _ in 0..<masters * (1 + replicas) {
            nodes.append(
                try await RedisServer.start(
                    nodeOptions(port: freePort()) + (tls == nil ? [] : ["--tls-cluster", "yes", "--tls-replication", "yes"]),
                    program: program, clock: clock, tls: tls))
        }
        let cluster = RedisCluster(nodes: nodes)
        _ = try ChildProcess.output(
            "redis-cli",
            (tls.map { RedisServer.cliOptions(tls: $0) } ?? []) + ["--cluster", "create"] + nodes.map { "127.0.0.1:\($0.port)" }
                + ["--cluster-replicas", "\(replicas)", "--cluster-yes"])
        try await cluster.settle(replicas: masters * replicas)
        return cluster
    }

    /// Returns the options that make a server a node. A node that is restarted gets them again.
    ///
    /// - Parameter port: The port of the cluster bus.
    public static func nodeOptions(port: Int) -> [String] {
        [
            "--cluster-enabled", "yes", "--cluster-port", "\(port)", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0",
            "--cluster-migration-barrier", "5",
        ]
    }

    /// Waits until all nodes agree that all slots are served, and until every replica has all of
    /// its master's data.
    public func settle(replicas: Int) async throws {
        try await eventually("the cluster serves", timeout: .seconds(60)) {
            try running.allSatisfy {
                let info = try $0.cli("CLUSTER", "INFO")
                return info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
                    && info.contains("cluster_known_nodes:\(nodes.count)")
            }
        }
        try await eventually("the replicas follow", timeout: .seconds(60)) {
            try running.count { try $0.cli("INFO", "replication").contains("master_link_status:up") } == replicas
        }
    }

    public var running: [RedisServer] { nodes.filter(\.process.isRunning) }
    public var url: String { url() }

    public func url(scheme: String = "redis-cluster", credentials: String = AccessRules.credentials) -> String {
        "\(scheme)://\(credentials)\(nodes.prefix(3).map { "127.0.0.1:\($0.port)" }.joined(separator: ","))"
    }

    public func configuration() throws -> RedisConfiguration { try RedisConfiguration(url: url) }

    public static func id(of node: RedisServer) throws -> String { try node.cli("CLUSTER", "MYID") }

    /// Returns the master that serves a key's slot, according to the nodes.
    public func master(of key: String) throws -> RedisServer {
        for node in running {
            // A master that does not serve the slot replies MOVED.
            if try node.cli("ROLE").hasPrefix("master"), try !node.cli("EXISTS", key).contains("MOVED") { return node }
        }
        throw NeverHappened(description: "no node serves \(key)")
    }

    /// Moves a slot with all of its keys, as `redis-cli --cluster reshard` does.
    ///
    /// - Parameter midway: Runs while the slot is migrating, before its keys move.
    public func move(slot: Int, from source: RedisServer, to target: RedisServer, midway: () async throws -> Void = {}) async throws {
        let (sourceID, targetID) = (try Self.id(of: source), try Self.id(of: target))
        try target.cli("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", sourceID)
        try source.cli("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", targetID)
        try await midway()
        while true {
            let keys = try source.lines("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").filter { !$0.isEmpty }
            guard !keys.isEmpty else { break }
            try source.cli(["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000", "KEYS"] + keys)
        }
        for node in [target, source] + running where try node.cli("ROLE").hasPrefix("master") {
            try node.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", targetID)
        }
    }

    /// Returns the messages of a session's history, as Redis holds them.
    public func history(_ session: SessionID) throws -> [JSON] {
        try master(of: RedisKeys(session).history).history(session)
    }

    public func stop() async throws {
        for node in nodes {
            node.process.signal(SIGCONT)
            node.process.signal(SIGKILL)
            try await node.process.ended()
        }
    }
}
