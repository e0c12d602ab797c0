import Foundation
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// A private `redis-server` as a child process, for running without a Redis of one's own: on a unix socket, with an append-only file.
///
/// A server that a crash left behind is taken over, not fought: the data is the same, and it is stopped on exit like a child. Two locks in the
/// directory see to it that one process owns it and that never two servers write the same file, whatever became of the socket.
public final class EmbeddedRedis: Service {
    /// Absolute.
    private let directory: String
    private let logger: Logger
    private let process = Mutex<EmbeddedRedisProcess?>(nil)
    private let ownership = Mutex<DirectoryLock?>(nil)
    private let startTimeout: Duration

    /// - Parameters:
    ///   - directory: Made where it is missing. Relative to the working directory.
    ///   - startTimeout: How long Redis may take to read its file.
    public init(directory: String, startTimeout: Duration = .seconds(60), logger: Logger) {
        self.directory = URL(filePath: directory).standardizedFileURL.path(percentEncoded: false)
        self.startTimeout = startTimeout
        self.logger = logger
    }

    private func path(_ name: String) -> String { directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)" }
    private var socket: String { path("redis.sock") }

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
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw EmbeddedRedisError("the directory \(directory) cannot be made: \(error.localizedDescription)")
        }
        guard let lock = ownership.withLock({ $0 }) ?? DirectoryLock(path: path("owner.lock")) else {
            throw EmbeddedRedisError(
                "\(directory) is in use by another agent-server; let this one use another directory, or one Redis for both")
        }
        ownership.withLock { $0 = lock }
        do {
            try await startServer()
        } catch {
            await stop()
            throw error
        }
    }

    private func startServer() async throws {
        let deadline = ContinuousClock.now.advanced(by: startTimeout)
        var isOwn = false
        while true {
            switch await ping() {
            case .answers:
                if !isOwn { logger.notice("taking over the private redis-server that an earlier run left behind") }
                return
            case .busy:
                // It reads its file, or is held up: it is there, and another one must not be started.
                break
            case .absent:
                if process.withLock({ $0?.isRunning }) != true {
                    if isOwn, !DirectoryLock.isHeld(path("redis.lock")) {
                        throw EmbeddedRedisError("redis-server did not start; see \(path("redis.log"))")
                    }
                    // With the lock of a server that lives without its socket this ends at once, and the next round waits.
                    try launch()
                    isOwn = true
                }
            }
            guard ContinuousClock.now < deadline else {
                throw EmbeddedRedisError(
                    "redis-server did not answer within \(startTimeout.components.seconds) s; see \(path("redis.log"))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func launch() throws {
        let child = try EmbeddedRedisProcess(
            lock: path("redis.lock"), directory: directory,
            arguments: [
                "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", directory,
                "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no",
                "--logfile", "redis.log", "--maxmemory-policy", "noeviction",
            ])
        process.withLock { $0 = child }
    }

    private enum Ping {
        case answers, busy, absent
    }

    private func ping() async -> Ping {
        do {
            _ = try await send("PING", patience: .milliseconds(500))
            return .answers
        } catch {
            switch error.code {
            case .loading, .timeout, .busy: return .busy
            case .connectionFailed where FileManager.default.fileExists(atPath: socket) && !isRefused(error): return .busy
            default: return .absent
            }
        }
    }

    /// A socket's file without a server behind it.
    private func isRefused(_ error: RedisError) -> Bool {
        error.message.contains("errno: \(ECONNREFUSED)") || error.message.contains("errno: \(ENOENT)")
    }

    private func send(_ command: String, patience: Duration) async throws(RedisError) -> RedisReply {
        var configuration = configuration
        configuration.connectTimeout = patience
        configuration.commandTimeout = patience
        let quiet = Logger(label: "embedded-redis") { _ in SwiftLogNoOpLogHandler() }
        let connection = RedisConnection(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), logger: quiet)
        connection.start()
        defer { connection.shutDown() }
        return try await connection.send(RedisCommand(command))
    }

    /// Keeps Redis running until the service is told to stop, then shuts it down. A server that dies is started again.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: .milliseconds(500))
                guard self.process.withLock({ $0?.isRunning }) == false else { continue }
                self.logger.error("the private redis-server has ended; starting it again")
                do { try self.launch() } catch { self.logger.error("\(error)") }
            }
        }
        await stop()
    }

    /// Has Redis write its file and exit; waits for that, at most twenty seconds. Whoever cancels wants it stopped, too: the work is done in a
    /// task that cannot be cancelled.
    public func stop() async {
        await Task {
            _ = try? await self.send("SHUTDOWN", patience: .seconds(10))
            await self.process.withLock { $0 }?.end(logger: self.logger)
            self.process.withLock { $0 = nil }
            self.ownership.withLock { $0 = nil }
        }.value
    }
}

/// Why the private `redis-server` cannot be used.
public struct EmbeddedRedisError: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}
