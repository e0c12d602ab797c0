import Foundation
import Locks
public import Logging
public import ServiceLifecycle

/// A private `redis-server` as a child process, for a deployment without a Redis of its own: on a
/// unix socket, with an append-only file.
///
/// A server that a crash left behind is taken over: it has the same data, and is watched and
/// stopped like a child. Two locks in the directory ensure that one process owns it, and that two
/// servers never write the same file, even if the socket's file is lost.
public final class EmbeddedRedis: Service {
    let directory: DataDirectory
    let logger: Logger
    let process = Guarded<EmbeddedRedisProcess?>(nil)
    let ownership = Guarded<DirectoryLock?>(nil)
    private let startTimeout: Duration

    /// - Parameters:
    ///   - directory: The directory of the data, created if it is missing. Relative to the working
    ///     directory.
    ///   - startTimeout: How long Redis may take to read its file.
    ///   - logger: For restarts and failures.
    public init(directory: String, startTimeout: Duration = .seconds(60), logger: Logger) {
        self.directory = DataDirectory(directory)
        self.startTimeout = startTimeout
        self.logger = logger
    }

    var socket: String { directory.file("redis.sock") }
    private var serversLock: String { directory.file("redis.lock") }

    /// The configuration for connections to the server.
    public var configuration: RedisConfiguration { RedisConfiguration(.unix(path: socket)) }

    /// The command that opens the server in a terminal.
    package var redisCLI: String { "redis-cli -s \(socket)" }

    /// Starts the server, or takes over one that is running, and returns once it replies.
    ///
    /// - Throws: ``EmbeddedRedisError``. A server that was started is stopped before.
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
                // The server is reading its file, or is delayed. It is up, so no second one may
                // start.
                break
            case .absent:
                if process.withLock({ $0?.isRunning }) != true {
                    if isOwn, !DirectoryLock.isHeld(serversLock) {
                        throw EmbeddedRedisError("redis-server did not start; \(directory.lastWords)")
                    }
                    // If a server without its socket holds the lock, this child ends immediately,
                    // and the next round waits.
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

    /// Records the server that replies as this object's own.
    func takeOver() async {
        guard let identity = await serversProcess() else { return }
        process.withLock { $0 = EmbeddedRedisProcess(takingOver: identity) }
    }
}

/// Why the private `redis-server` cannot be used.
public struct EmbeddedRedisError: Error, Sendable, CustomStringConvertible {
    /// The reason in words for operators.
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}
