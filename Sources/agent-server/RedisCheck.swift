import Logging
import ServiceLifecycle
import SessionStore

/// Refuses to run on a Redis in which sessions are not safe.
///
/// A Redis that is away when the server starts is waited for, and looked at when it is there: the server answers 503 until then.
actor RedisCheck: Service {
    private let client: RedisClient
    private let allowsEviction: Bool
    private let logger: Logger
    private var isDone = false

    init(client: RedisClient, allowsEviction: Bool, logger: Logger) {
        self.client = client
        self.allowsEviction = allowsEviction
        self.logger = logger
    }

    /// Looks at Redis if it can be reached within `patience`.
    ///
    /// - Throws: ``SettingsError`` when it is not fit.
    func check(patience: Duration) async throws(SettingsError) {
        guard !isDone, await client.waitUntilReady(timeout: patience) else { return }
        let shortcomings: [RedisShortcoming]
        do throws(RedisError) {
            shortcomings = try await client.shortcomings()
        } catch {
            guard error.code == .notPermitted else { return }
            logger.warning("redis: this user may not send INFO, so that nobody knows whether sessions may be evicted")
            return isDone = true
        }
        for shortcoming in shortcomings {
            if shortcoming.kind == .mayEvict, allowsEviction {
                logger.warning("redis: the server \(shortcoming)")
            } else {
                let way = shortcoming.kind == .mayEvict ? " (or set \(Setting.allowEviction.name)=true)" : ""
                throw SettingsError(.redisURL, "the server \(shortcoming)\(way)")
            }
        }
        isDone = true
    }

    func run() async throws {
        while !isDone {
            try await check(patience: .seconds(1))
            if !isDone { try await Task.sleep(for: .milliseconds(100)) }
        }
        try await gracefulShutdown()
    }
}
