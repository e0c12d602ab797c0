import Foundation
public import RedisClient
public import SessionStore

/// A Redis Cluster on loopback: masters, and a replica of each where a test wants failovers.
public final class RedisCluster: Sendable {
    public let nodes: [RedisServer]

    private init(nodes: [RedisServer]) {
        self.nodes = nodes
    }

    /// - Parameters:
    ///   - replicas: Of each master.
    ///   - program: The nodes' name or path.
    ///   - tls: Options with certificates: then everything goes over TLS.
    ///   - clock: The nodes', where that is not the system's.
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

    /// What makes a server a node; a node that is started again is given them again.
    ///
    /// - Parameter port: Of the bus.
    public static func nodeOptions(port: Int) -> [String] {
        [
            "--cluster-enabled", "yes", "--cluster-port", "\(port)", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0",
            "--cluster-migration-barrier", "5",
        ]
    }

    /// Returns when all nodes agree that all slots are served, and every replica has what its master has.
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

    /// The master that a key's slot is served by, as the nodes say.
    public func master(of key: String) throws -> RedisServer {
        for node in running {
            // Where the slot is another's, it says so.
            if try node.cli("ROLE").hasPrefix("master"), try !node.cli("EXISTS", key).contains("MOVED") { return node }
        }
        throw NeverHappened(description: "no node serves \(key)")
    }

    /// Moves a slot with all that is in it, as `redis-cli --cluster reshard` does.
    ///
    /// - Parameter midway: Called while the slot is on its way, before its keys are moved.
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

    /// The messages of a session's history, as they stand in Redis.
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
