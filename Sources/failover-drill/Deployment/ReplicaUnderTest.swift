import Foundation
import LocalDeployment
import Locks

/// A replica of the service, on a fixed port, behind a link that can fail.
final class ReplicaUnderTest: Sendable {
    let name: String
    let port: Int
    /// The link between the load balancer and the replica.
    let link: Link
    /// The link between the replica and Redis; nil if Redis is more than one server.
    let redisLink: Link?
    private let settings: Settings
    private let current: Guarded<ChildProcess>

    struct Settings: Sendable {
        var server: URL
        var redis: String
        /// The port of Redis if Redis is a single server. The replica then gets a link of its own
        /// to it.
        var redisPort: Int?
        var upstream: String
        var environment: [String: String]
        var directory: URL
    }

    static func start(_ name: String, _ settings: Settings) async throws -> ReplicaUnderTest {
        let port = try freePort()
        var settings = settings
        var redisLink: Link?
        if let redisPort = settings.redisPort {
            let link = try await Link.start(to: redisPort)
            settings.redis = "redis://\(AccessRules.credentials)127.0.0.1:\(link.port)"
            redisLink = link
        }
        let process = try launch(name, port, settings)
        let replica = ReplicaUnderTest(name, port, try await Link.start(to: port), redisLink, settings, process)
        try await replica.becomesReady()
        return replica
    }

    private init(_ name: String, _ port: Int, _ link: Link, _ redisLink: Link?, _ settings: Settings, _ process: ChildProcess) {
        (self.name, self.port, self.link, self.redisLink, self.settings) = (name, port, link, redisLink, settings)
        current = Guarded(process)
    }

    private static func launch(_ name: String, _ port: Int, _ settings: Settings) throws -> ChildProcess {
        var environment = settings.environment
        environment["PORT"] = "\(port)"
        return try Replica.launch(
            redis: settings.redis, upstream: settings.upstream, name: name, environment: environment, directory: settings.directory,
            server: settings.server)
    }

    var process: ChildProcess { current.withLock { $0 } }

    func start() throws {
        let process = try Self.launch(name, port, settings)
        current.withLock { $0 = process }
    }

    /// Waits until the replica itself reports that it is ready.
    func becomesReady() async throws {
        let client = AgentClient(url: "http://127.0.0.1:\(port)")
        try await eventually("\(name) is ready; its log: \(process.log.suffix(1000))", timeout: .seconds(60)) {
            guard process.isRunning else { throw NeverHappened(description: "\(name) ended: \(process.log.suffix(1000))") }
            return (try? await client.get("/health/ready").status) == 200
        }
    }

    func stop() async {
        process.signal(SIGCONT)
        process.signal(SIGKILL)
        _ = try? await process.ended()
        link.stop()
        redisLink?.stop()
    }
}
