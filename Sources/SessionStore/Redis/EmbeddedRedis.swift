import Foundation
public import Logging
public import ServiceLifecycle
import Synchronization

/// A private `redis-server` as a child process, for running without a Redis of one's own: on a unix socket, with an append-only file.
///
/// A server that a crash left behind is taken over, not fought: the data is the same, and it is
/// looked after and stopped on exit like a child. Two locks in the directory see to it that one
/// process owns it and that never two servers write the same file, whatever became of the socket.
public final class EmbeddedRedis: Service {
    let directory: DataDirectory
    let logger: Logger
    let process = Mutex<EmbeddedRedisProcess?>(nil)
    let ownership = Mutex<DirectoryLock?>(nil)
    private let startTimeout: Duration

    /// - Parameters:
    ///   - directory: Made where it is missing. Relative to the working directory.
    ///   - startTimeout: How long Redis may take to read its file.
    public init(directory: String, startTimeout: Duration = .seconds(60), logger: Logger) {
        self.directory = DataDirectory(directory)
        self.startTimeout = startTimeout
        self.logger = logger
    }

    var socket: String { directory.file("redis.sock") }
    private var serversLock: String { directory.file("redis.lock") }

    /// How this server is reached.
    public var configuration: RedisConfiguration { RedisConfiguration(.unix(path: socket)) }

    /// The command that opens it by hand.
    public var redisCLI: String { "redis-cli -s \(socket)" }

    /// Returns when Redis answers.
    ///
    /// - Throws: ``EmbeddedRedisError``; a server that was started is stopped then.
    public func start() async throws {
        guard socket.utf8.count <= RedisConfiguration.longestSocketPath else {
            throw EmbeddedRedisError(
                "the path \(socket) is longer than the \(RedisConfiguration.longestSocketPath) bytes that a unix socket may have; choose another directory"
            )
        }
        try directory.prepare()
        let lock = try ownership.withLock({ $0 }) ?? own()
        ownership.withLock { $0 = lock }
        do {
            try await startServer()
        } catch {
            await stop()
            throw error
        }
    }

    private func own() throws(EmbeddedRedisError) -> DirectoryLock {
        do {
            return try DirectoryLock(path: directory.file("owner.lock"))
        } catch {
            switch error {
            case .held:
                throw EmbeddedRedisError(
                    "\(directory.path) is in use by another agent-server; let this one use another directory, or one Redis for both")
            case .unusable(let reason):
                throw EmbeddedRedisError("\(directory.file("owner.lock")) cannot be written: \(reason)")
            }
        }
    }

    private func startServer() async throws {
        let deadline = ContinuousClock.now.advanced(by: startTimeout)
        var isOwn = false
        while true {
            switch await ping() {
            case .answers:
                if !isOwn {
                    logger.notice("taking over the private redis-server that an earlier run left behind")
                    await takeOver()
                }
                return
            case .busy:
                // It reads its file, or is held up: it is there, and another one must not be started.
                break
            case .absent:
                if process.withLock({ $0?.isRunning }) != true {
                    if isOwn, !DirectoryLock.isHeld(serversLock) {
                        throw EmbeddedRedisError("redis-server did not start; \(directory.lastWords)")
                    }
                    // With the lock of a server that lives without its socket this ends at once, and the next round waits.
                    try launch()
                    isOwn = true
                }
            }
            guard ContinuousClock.now < deadline else {
                throw EmbeddedRedisError(
                    "redis-server did not answer within \(startTimeout.components.seconds) s; \(directory.lastWords)")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    func launch() throws {
        try directory.checkFiles()
        let child = try EmbeddedRedisProcess(
            lock: serversLock, directory: directory.path,
            arguments: [
                "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", directory.path,
                "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no",
                "--logfile", "redis.log", "--maxmemory-policy", "noeviction",
            ])
        process.withLock { $0 = child }
    }

    /// From now on the server that answers is this one's.
    func takeOver() async {
        guard let identity = await serversProcess() else { return }
        process.withLock { $0 = EmbeddedRedisProcess(takingOver: identity) }
    }
}

/// Why the private `redis-server` cannot be used.
public struct EmbeddedRedisError: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}
