import Foundation
import LocalDeployment
import RedisClient
import SessionStore

/// The deployment of a local drill, on loopback: Redis, three replicas, a load balancer, a model.
/// Nothing of it outlives the drill.
final class LocalSystem: Sendable {
    struct Options: Sendable {
        var server: URL
        var redis: RedisUnderTest.Topology
        /// The number of replicas of each master.
        var redisReplicas: Int
        var lease: Duration
        var ackReplicas: Int
        /// The model server that the drill's model imitates.
        var personality: Personality
        /// The number of tenants, each with a key; 1 for a deployment without a keys file.
        var tenants = 1
        /// The limit of streams of each account; nil for none.
        var streams: Int?
    }

    static let replicaCount = 3

    let redis: RedisUnderTest
    let model: DrillModel
    /// The link between the replicas and the model.
    let modelLink: Link
    let replicas: [ReplicaUnderTest]
    let balancer: HAProxy
    let lease: Duration
    /// Holds the replicas' logs, and one directory for each other server.
    private let directory: URL

    static func start(_ options: Options) async throws -> LocalSystem {
        let directory = try temporaryDirectory(isRemovedAtExit: false)
        // Every server of the deployment creates its files there.
        setenv("TMPDIR", directory.path, 1)
        let redis = try await RedisUnderTest.start(options.redis, replicas: options.redisReplicas)
        let model = try await DrillModel.start(as: options.personality)
        let modelLink = try await Link.start(to: model.port)
        var environment = [
            "AGENT_RUNTIME__LEASE_MS": "\(options.lease.milliseconds)", "AGENT_RUNTIME__ACK_REPLICAS": "\(options.ackReplicas)",
            // Short timeouts, so that an outage of the model or of a link is noticed within a
            // drill.
            "AGENT_RUNTIME__LLM_IDLE_TIMEOUT_MS": "3000", "AGENT_RUNTIME__KEEP_ALIVE_SECONDS": "2", "AGENT_RUNTIME__DRAIN_SECONDS": "1",
        ]
        environment.merge(options.personality.settings) { $1 }
        if let streams = options.streams { environment["AGENT_RUNTIME__LIMIT_STREAMS"] = "\(streams)" }
        if options.tenants > 1 {
            let file = directory.appending(path: "keys.json")
            try DrillTenant.keysFile(options.tenants, streams: options.streams).text.write(to: file, atomically: true, encoding: .utf8)
            environment["AGENT_RUNTIME__KEYS_FILE"] = file.path
        }
        let settings = ReplicaUnderTest.Settings(
            server: options.server, redis: redis.url, redisPort: options.redis == .single ? redis.servers.first?.port : nil,
            upstream: options.personality.baseURL(at: "http://127.0.0.1:\(modelLink.port)"), environment: environment,
            directory: directory)
        var replicas: [ReplicaUnderTest] = []
        for number in 1...replicaCount { replicas.append(try await ReplicaUnderTest.start("replica-\(number)", settings)) }
        let balancer = try await HAProxy.start(before: replicas.map(\.link.port), directory: directory)
        return LocalSystem(redis, model, modelLink, replicas, balancer, lease: options.lease, directory)
    }

    private init(
        _ redis: RedisUnderTest, _ model: DrillModel, _ modelLink: Link, _ replicas: [ReplicaUnderTest], _ balancer: HAProxy,
        lease: Duration, _ directory: URL
    ) {
        (self.redis, self.model, self.modelLink, self.replicas, self.balancer) = (redis, model, modelLink, replicas, balancer)
        (self.lease, self.directory) = (lease, directory)
    }

    /// Ends every process.
    ///
    /// - Parameter keepsLogs: Whether to keep the replicas' logs.
    /// - Returns: The directory of the logs, if they are kept.
    func stop(keepsLogs: Bool) async -> URL? {
        balancer.process.signal(SIGKILL)
        for replica in replicas { await replica.stop() }
        modelLink.stop()
        model.stop()
        await redis.stop()
        for folder in (try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)) ?? [] {
            if !keepsLogs || folder.lastPathComponent.hasPrefix("art-") { try? FileManager.default.removeItem(at: folder) }
        }
        if keepsLogs { return directory }
        try? FileManager.default.removeItem(at: directory)
        return nil
    }
}
