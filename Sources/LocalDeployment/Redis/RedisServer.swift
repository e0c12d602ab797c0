public import Foundation
import NIOCore
import NIOPosix
public import RedisClient
public import SessionStore

/// A real `redis-server`, or another program of its kind, of the test's own, on a unix socket and on a loopback port that the system picked.
public final class RedisServer: Sendable {
    public let directory: URL
    public let port: Int
    public let process: ChildProcess
    /// What `redis-cli` needs where the server has a password.
    private let credentials: [String]

    public var socket: String { directory.path + "/redis.sock" }
    /// For replicas: with the rights of ``AccessRules``.
    public var url: String { "redis://\(AccessRules.credentials)127.0.0.1:\(port)" }
    public var tcpURL: String { "redis://127.0.0.1:\(port)" }
    /// For whoever may do anything.
    public var configuration: RedisConfiguration { RedisConfiguration(.unix(path: socket)) }
    /// For stores: with the rights of ``AccessRules``.
    public var restrictedConfiguration: RedisConfiguration {
        var restricted = configuration
        (restricted.username, restricted.password) = (AccessRules.user, AccessRules.password)
        return restricted
    }

    private init(directory: URL, port: Int, process: ChildProcess, credentials: [String]) {
        self.credentials = credentials
        self.directory = directory
        self.port = port
        self.process = process
    }

    /// What is started where a test does not say: `AGENT_RUNTIME_TEST_REDIS_SERVER`, so that whole suites run against another program.
    public static let defaultProgram = ProcessInfo.processInfo.environment["AGENT_RUNTIME_TEST_REDIS_SERVER"] ?? "redis-server"

    /// - Parameters:
    ///   - program: Its name, or its path.
    ///   - options: Further lines of its configuration, as command line arguments.
    ///   - clock: Its clock, where that is not the system's.
    ///   - tls: Options with certificates: then the port takes TLS and nothing else.
    public static func start(
        _ options: [String] = [], program: String = defaultProgram, clock: FakeClock? = nil, tls: [String]? = nil,
        directory given: URL? = nil, port givenPort: Int? = nil
    ) async throws -> RedisServer {
        let directory = try given ?? temporaryDirectory()
        let port = try givenPort ?? freePort()
        let arguments =
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--unixsocket", directory.path + "/redis.sock", "--dir", directory.path,
                "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning", "--enable-debug-command", "yes",
                "--user", AccessRules.user,
            ] + (options.contains("--cluster-enabled") ? AccessRules.clusterNode : AccessRules.server) + options
            + (tls.map { ["--port", "0", "--tls-port", "\(port)"] + $0 } ?? [])
        let environment = clock.map { ProcessInfo.processInfo.environment.merging($0.environment) { $1 } }
        let process = try ChildProcess(program, arguments, environment: environment, directory: directory)
        let server = RedisServer(
            directory: directory, port: port, process: process,
            credentials: options.firstIndex(of: "--requirepass").map { ["--no-auth-warning", "-a", options[$0 + 1]] } ?? [])
        try await eventually("redis-server answers; its log: \(process.log)") {
            guard process.isRunning else { throw NeverHappened(description: "redis-server ended: \(process.log)") }
            return FileManager.default.fileExists(atPath: server.socket)
        }
        return server
    }

    /// What `redis-cli` needs to talk TLS.
    static func cliOptions(tls: [String]) -> [String] {
        ["--tls", "--cacert"] + (tls.firstIndex(of: "--tls-ca-cert-file").map { [tls[$0 + 1]] } ?? [])
    }

    /// One for all tests that do not disturb it; their keys carry session ids of their own.
    public static func shared() async throws -> RedisServer { try await sharedTask.value }
    private static let sharedTask = Task { try await start() }

    /// What `redis-cli` prints for a command.
    @discardableResult
    public func cli(_ arguments: String...) throws -> String { try cli(arguments) }

    @discardableResult
    public func cli(_ arguments: [String]) throws -> String {
        var text = try ChildProcess.output("redis-cli", ["-s", socket, "--raw"] + credentials + arguments)
        if text.hasSuffix("\n") { text.removeLast() }
        return text
    }

    public func lines(_ arguments: String...) throws -> [String] { try lines(arguments) }

    public func lines(_ arguments: [String]) throws -> [String] {
        try cli(arguments).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The messages of a session's history, as they stand in Redis.
    public func history(_ session: SessionID) throws -> [JSON] {
        let key = RedisKeys(session).history
        let length = Int(try cli("LLEN", key)) ?? 0
        guard length > 0 else { return [] }
        // It may have been deleted meanwhile: then there is one line, and nothing in it.
        return try lines("LRANGE", key, "0", "-1").filter { !$0.isEmpty }.map { try JSON($0) }
    }

    public func stop() async throws {
        process.signal(SIGTERM)
        _ = try await process.ended()
    }

    public func kill() async throws {
        process.signal(SIGKILL)
        _ = try await process.ended()
    }
}

/// A loopback port where nobody listens, outside of the range from which the system gives ports to clients. It is not bound to find out: a
/// child that is started at that moment would inherit the socket.
public func freePort() throws -> Int {
    while true {
        let port = Int.random(in: 15_000..<32_000)
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        guard let channel = try? bootstrap.connect(host: "127.0.0.1", port: port).wait() else { return port }
        try channel.close().wait()
    }
}
