import Foundation
import LocalDeployment
import Locks
import RedisClient
import SessionStore

/// The Redis of a local drill, and the faults that it can suffer.
final class RedisUnderTest: Sendable {
    enum Topology: String, Sendable, CaseIterable {
        case single, sentinel, cluster
    }

    private enum Kind {
        case single
        case sentinel(RedisSentinels)
        case cluster(RedisCluster)
    }

    let topology: Topology
    /// The URL that replicas use.
    let url: String
    private let kind: Kind
    /// The servers' clock; nil if libfaketime is not installed. Sentinels use the system's clock.
    let clock: FakeClock?
    /// The current servers. A server that was killed returns as another process.
    private let current: Guarded<[RedisServer]>

    /// Starts the servers of a topology.
    ///
    /// - Parameter replicas: The number of replicas of each master; unused by a single server.
    static func start(_ topology: Topology, replicas: Int) async throws -> RedisUnderTest {
        let clock = try? FakeClock()
        switch topology {
        case .single:
            // The server keeps its data in files, so that it still has them after a kill.
            let server = try await RedisServer.start(single, clock: clock)
            return RedisUnderTest(topology, .single, [server], url: server.url, clock)
        case .sentinel:
            let all = try await RedisSentinels.start(replicas: replicas, downAfter: downAfter, clock: clock)
            return RedisUnderTest(topology, .sentinel(all), all.servers, url: all.url, clock)
        case .cluster:
            let all = try await RedisCluster.start(replicas: replicas, clock: clock)
            return RedisUnderTest(topology, .cluster(all), all.nodes, url: all.url, clock)
        }
    }

    private static let downAfter = Duration.seconds(1)
    private static let single = ["--appendonly", "yes", "--appendfsync", "always"]

    private init(_ topology: Topology, _ kind: Kind, _ servers: [RedisServer], url: String, _ clock: FakeClock?) {
        (self.topology, self.kind, self.url, self.clock) = (topology, kind, url, clock)
        current = Guarded(servers)
    }

    var servers: [RedisServer] { current.withLock { $0 } }

    /// Returns the servers that consider themselves masters.
    func masters() throws -> [RedisServer] {
        try servers.filter { try $0.process.isRunning && $0.cli("ROLE").hasPrefix("master") }
    }

    /// Kills a master, waits for the promotion of a replica, and restarts the server as a replica
    /// of the new master.
    func killMaster(_ index: Int) async throws {
        let masters = try masters()
        guard !masters.isEmpty else { return }
        let master = masters[index % masters.count]
        try await master.kill()
        var options: [String] = []
        switch kind {
        case .single:
            options = Self.single
        case .sentinel(let sentinels):
            // The restarted server holds no data. As a master it would erase all sessions.
            try await eventually("another server is the master", timeout: .seconds(30)) {
                try sentinels.masterPort() != master.port && !self.masters().isEmpty
            }
            options = ["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", "\(try sentinels.masterPort() ?? 0)"]
        case .cluster:
            try await eventually("a replica has taken its slots", timeout: .seconds(30)) {
                try self.masters().count { try !Self.slots($0).isEmpty } == masters.count
            }
            options = RedisCluster.nodeOptions(port: try freePort())
        }
        let restarted = try await RedisServer.start(options, clock: clock, directory: master.directory, port: master.port)
        current.withLock { servers in
            if let index = servers.firstIndex(where: { $0.port == restarted.port }) { servers[index] = restarted }
        }
        try await settle()
    }

    /// Promotes a replica while both servers are healthy.
    func failover(_ index: Int) async throws {
        switch kind {
        case .single:
            break
        case .sentinel(let sentinels):
            let before = try sentinels.masterPort()
            _ = try sentinels.sentinels[index % sentinels.sentinels.count].cli("SENTINEL", "FAILOVER", RedisSentinels.masterName)
            try await eventually("the master has moved", timeout: .seconds(30)) { try sentinels.masterPort() != before }
            // Sentinel would leave the old master as it is for some ten seconds. A drill need not
            // wait for that.
            let old = servers.first { $0.port == before }
            try old?.cli("REPLICAOF", "127.0.0.1", "\(try sentinels.masterPort() ?? 0)")
        case .cluster:
            let replicas = try servers.filter { try $0.process.isRunning && $0.cli("ROLE").hasPrefix("slave") }
            guard !replicas.isEmpty else { return }
            let chosen = replicas[index % replicas.count]
            try chosen.cli("CLUSTER", "FAILOVER")
            try await eventually("it is a master", timeout: .seconds(30)) { try chosen.cli("ROLE").hasPrefix("master") }
        }
        try await settle()
    }

    /// Waits until every replica has all of its master's data.
    private func settle() async throws {
        try await eventually("the replicas follow", timeout: .seconds(60)) {
            try self.servers.allSatisfy { server in
                let role = try server.cli("INFO", "replication")
                return role.contains("role:master") || role.contains("master_link_status:up")
            }
        }
    }

    /// Pauses all servers for `duration`, without a failover.
    func stall(for duration: Duration) async throws {
        try sentinelsWait(.seconds(600))
        for server in servers { server.process.signal(SIGSTOP) }
        try? await Task.sleep(for: duration)
        for server in servers { server.process.signal(SIGCONT) }
        try await settle()
        try sentinelsWait(Self.downAfter)
    }

    private func sentinelsWait(_ duration: Duration) throws {
        guard case .sentinel(let sentinels) = kind else { return }
        for sentinel in sentinels.sentinels {
            try sentinel.cli("SENTINEL", "SET", RedisSentinels.masterName, "down-after-milliseconds", "\(duration.milliseconds)")
        }
    }

    /// Runs a command on the master that serves the key, and returns its output.
    @discardableResult
    func cli(_ key: String, _ arguments: [String]) throws -> String {
        for master in try masters() {
            let reply = try master.cli(arguments)
            if !reply.hasPrefix("MOVED") { return reply }
        }
        throw NeverHappened(description: "no master serves \(key)")
    }

    private static func slots(_ server: RedisServer) throws -> [Substring] {
        let own = try server.lines("CLUSTER", "NODES").first { $0.contains("myself") } ?? ""
        return Array(own.split(separator: " ").dropFirst(8))
    }

    func stop() async {
        switch kind {
        case .single: break
        case .sentinel(let sentinels): try? await sentinels.stop()
        case .cluster(let cluster): try? await cluster.stop()
        }
        for server in servers { try? await server.kill() }
    }
}
