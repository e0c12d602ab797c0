import Foundation
import LocalDeployment
import Synchronization

/// A replica of the service, on a port that stays, behind a link that can be pulled.
final class ReplicaUnderTest: Sendable {
    let name: String
    let port: Int
    /// To it.
    let link: Link
    /// From it to Redis; nil where that is not one address.
    let redisLink: Link?
    private let settings: Settings
    private let current: Mutex<ChildProcess>

    struct Settings: Sendable {
        var server: URL
        var redis: String
        /// Where Redis is one server: its port, which is then reached by a link of the replica's own.
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
        current = Mutex(process)
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

    /// Ready by its own word, not the balancer's.
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
