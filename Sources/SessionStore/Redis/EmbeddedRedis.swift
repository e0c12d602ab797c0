import Foundation
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// A private `redis-server` as a child process, for running without a Redis of one's own: on a unix socket, with an append-only file.
///
/// A server that a crash left behind is taken over, not fought: the data is the same, and it is stopped on exit like a child.
public final class EmbeddedRedis: Service {
    /// Absolute.
    private let directory: String
    private let logger: Logger
    private let process = Mutex<Process?>(nil)
    private let startTimeout: Duration

    /// - Parameters:
    ///   - directory: Made where it is missing. Relative to the working directory.
    ///   - startTimeout: How long Redis may take to read its file.
    public init(directory: String, startTimeout: Duration = .seconds(60), logger: Logger) {
        self.directory = URL(filePath: directory).standardizedFileURL.path(percentEncoded: false)
        self.startTimeout = startTimeout
        self.logger = logger
    }

    private var socket: String { directory.hasSuffix("/") ? directory + "redis.sock" : directory + "/redis.sock" }

    /// How this server is reached.
    public var configuration: RedisConfiguration { RedisConfiguration(.unix(path: socket)) }

    /// The command that opens it by hand.
    public var redisCLI: String { "redis-cli -s \(socket)" }

    /// Returns when Redis answers.
    ///
    /// - Throws: ``EmbeddedRedisError``
    public func start() async throws {
        guard socket.utf8.count <= 107 else {
            throw EmbeddedRedisError(
                "the path \(socket) is longer than the 107 bytes that a unix socket may have; choose another directory")
        }
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw EmbeddedRedisError("the directory \(directory) cannot be made: \(error.localizedDescription)")
        }
        if await answers() {
            logger.notice("taking over the private redis-server that an earlier run left behind")
            return
        }
        let child = try launch()
        process.withLock { $0 = child }
        let deadline = ContinuousClock.now.advanced(by: startTimeout)
        while await !answers() {
            guard child.isRunning else {
                throw EmbeddedRedisError("redis-server did not start; see \(directory)/redis.log")
            }
            guard ContinuousClock.now < deadline else {
                child.terminate()
                throw EmbeddedRedisError(
                    "redis-server did not answer within \(startTimeout.components.seconds) s; see \(directory)/redis.log")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func launch() throws -> Process {
        guard let server = Self.find("redis-server") else {
            throw EmbeddedRedisError(
                "redis-server is not installed: apt-get install redis-server, or set AGENT_RUNTIME__REDIS_URL to a Redis of your own")
        }
        let child = Process()
        // A session of its own, so that the terminal's Ctrl-C stops this process first and Redis last.
        if let setsid = Self.find("setsid") {
            child.executableURL = URL(filePath: setsid)
            child.arguments = [server]
        } else {
            child.executableURL = URL(filePath: server)
            child.arguments = []
        }
        child.arguments? += [
            "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", directory,
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no",
            "--logfile", "redis.log", "--maxmemory-policy", "noeviction",
        ]
        child.currentDirectoryURL = URL(filePath: directory)
        child.standardInput = FileHandle.nullDevice
        child.standardOutput = FileHandle.nullDevice
        do { try child.run() } catch {
            throw EmbeddedRedisError("redis-server cannot be started: \(error.localizedDescription)")
        }
        return child
    }

    private static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Whether a server answers on the socket.
    private func answers() async -> Bool {
        await withConnection(patience: .milliseconds(200)) { connection async throws(RedisError) in
            try await connection.send(RedisCommand("PING"))
        } != nil
    }

    private func withConnection(
        patience: Duration, _ body: (RedisConnection) async throws(RedisError) -> RedisReply
    ) async -> RedisReply? {
        var configuration = configuration
        configuration.connectTimeout = patience
        configuration.commandTimeout = patience
        let quiet = Logger(label: "embedded-redis") { _ in SwiftLogNoOpLogHandler() }
        let connection = RedisConnection(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), logger: quiet)
        connection.start()
        defer { connection.shutDown() }
        return try? await body(connection)
    }

    /// Keeps Redis running until the service is told to stop, then shuts it down.
    public func run() async throws {
        try? await gracefulShutdown()
        await stop()
    }

    /// Has Redis write its file and exit; waits for that, at most ten seconds.
    public func stop() async {
        _ = await withConnection(patience: .seconds(10)) { connection async throws(RedisError) in
            try await connection.send(RedisCommand("SHUTDOWN"))
        }
        guard let child = process.withLock({ $0 }) else { return }
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while child.isRunning {
            if ContinuousClock.now >= deadline {
                logger.warning("the private redis-server does not stop; terminating it")
                child.terminate()
                return
            }
            // Not cancellable: whoever cancels wants it stopped, too.
            await withCheckedContinuation { continuation in
                MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: .milliseconds(5)) { continuation.resume() }
            }
        }
    }
}

/// Why the private `redis-server` cannot be used.
public struct EmbeddedRedisError: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}
