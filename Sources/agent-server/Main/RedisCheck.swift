import Logging
import RedisClient
import ServiceLifecycle
import SessionStore

/// Refuses to run on a Redis in which sessions are not safe.
///
/// If Redis is away when the server starts, the server responds with 503 and checks Redis as soon
/// as it is back. While the server runs, the check counts Redis's replicas if commits wait for
/// them.
actor RedisCheck: Service {
    private static let interval = Duration.seconds(5)

    private let client: RedisConnectionPool
    private let allowsEviction: Bool
    private let ackReplicas: Int
    private let logger: Logger
    private var isDone = false
    private var lacksReplicas = false

    init(client: RedisConnectionPool, allowsEviction: Bool, ackReplicas: Int = 0, logger: Logger) {
        self.client = client
        self.allowsEviction = allowsEviction
        self.ackReplicas = ackReplicas
        self.logger = logger
    }

    /// Checks Redis if it can be reached within `patience`.
    ///
    /// - Throws: ``SettingsError`` for a Redis that is not fit.
    func check(patience: Duration) async throws(SettingsError) {
        guard !isDone, await client.waitUntilReady(timeout: patience) else { return }
        let shortcomings: [RedisShortcoming]
        do throws(RedisError) {
            shortcomings = try await client.shortcomings()
        } catch {
            guard error.isFinal else { return }
            logger.warning(
                "redis: INFO is refused; the server's version and its maxmemory-policy are not checked",
                metadata: ["error": "\(error)"])
            try await checkScripts()
            isDone = true
            return
        }
        for shortcoming in shortcomings {
            switch shortcoming.kind {
            case .silent:
                logger.warning("redis: the server \(shortcoming)")
            case .mayEvict where allowsEviction:
                logger.warning("redis: the server \(shortcoming)")
            case .mayEvict:
                throw SettingsError(Setting.redisURL, "the server \(shortcoming) (or set \(Setting.allowEviction.name)=true)")
            case .tooOld, .otherTopology:
                throw SettingsError(Setting.redisURL, "the server \(shortcoming)")
            }
        }
        try await checkScripts()
        isDone = true
        await countReplicas()
    }

    /// A server that cannot compile a script would refuse every message.
    private func checkScripts() async throws(SettingsError) {
        guard let (script, error) = try? await client.refusedScripts().first else { return }
        throw SettingsError(Setting.redisURL, "the server cannot run the scripts that write sessions (\(script)): \(error)")
    }

    private func countReplicas() async {
        guard ackReplicas > 0, let count = try? await client.connectedReplicas() else { return }
        let metadata: Logger.Metadata = ["connected": "\(count)", "\(Setting.ackReplicas.name)": "\(ackReplicas)"]
        if count < ackReplicas, !lacksReplicas {
            logger.warning(
                "redis: fewer replicas are connected than commits wait for; every turn fails until more connect", metadata: metadata)
        } else if count >= ackReplicas, lacksReplicas {
            logger.notice("redis: as many replicas are connected again as commits wait for", metadata: metadata)
        }
        lacksReplicas = count < ackReplicas
    }

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.watch() }
        } catch is CancellationError {
            // The server stops, whether Redis is there or not.
        }
    }

    private func watch() async throws {
        while !isDone {
            try await check(patience: .seconds(1))
            if !isDone { try await Task.sleep(for: .milliseconds(100)) }
        }
        while true {
            try await Task.sleep(for: Self.interval)
            await countReplicas()
        }
    }
}

extension RedisError {
    /// Whether Redis has replied, and would reply the same again.
    fileprivate var isFinal: Bool {
        switch code {
        case .notPermitted, .reply, .wrongType: true
        default: false
        }
    }
}
