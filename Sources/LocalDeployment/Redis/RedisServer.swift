public import Foundation
import NIOCore
import NIOPosix
public import RedisClient
public import SessionStore

/// A `redis-server`, or another program of its kind, that belongs to one test. It listens on a unix
/// socket and on a loopback port.
public final class RedisServer: Sendable {
    public let directory: URL
    public let port: Int
    public let process: ChildProcess
    /// The password of the default user; nil without `--requirepass`.
    private let password: String?

    public var socket: String { directory.path + "/redis.sock" }
    /// For replicas, which run with the rights of ``AccessRules``.
    public var url: String { "redis://\(AccessRules.credentials)127.0.0.1:\(port)" }
    public var tcpURL: String { "redis://127.0.0.1:\(port)" }
    /// For tests that need all rights.
    public var configuration: RedisConfiguration { RedisConfiguration(.unix(path: socket)) }
    /// For stores, which run with the rights of ``AccessRules``.
    public var restrictedConfiguration: RedisConfiguration {
        var restricted = configuration
        (restricted.username, restricted.password) = (AccessRules.user, AccessRules.password)
        return restricted
    }

    private init(directory: URL, port: Int, process: ChildProcess, password: String?) {
        self.password = password
        self.directory = directory
        self.port = port
        self.process = process
    }

    /// The program that is started unless a test names one: `AGENT_RUNTIME_TEST_REDIS_SERVER`, so
    /// that whole suites can run against another program.
    public static let defaultProgram = ProcessInfo.processInfo.environment["AGENT_RUNTIME_TEST_REDIS_SERVER"] ?? "redis-server"

    /// Starts a server and waits until it listens.
    ///
    /// - Parameters:
    ///   - program: Its name, or its path.
    ///   - options: Further lines of its configuration, as command line arguments.
    ///   - clock: The server's clock; nil for the system's.
    ///   - tls: Options with certificates. With them, the port accepts only TLS.
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
            password: options.firstIndex(of: "--requirepass").map { options[$0 + 1] })
        try await eventually("redis-server listens; its log: \(process.log)") {
            guard process.isRunning else { throw NeverHappened(description: "redis-server ended: \(process.log)") }
            // The socket's file exists a moment before Redis listens on it.
            return RedisCommandLine(address: .unix(path: server.socket), password: nil).isListening
        }
        return server
    }

    /// Returns the options that `redis-cli` needs to connect over TLS.
    static func cliOptions(tls: [String]) -> [String] {
        ["--tls", "--cacert"] + (tls.firstIndex(of: "--tls-ca-cert-file").map { [tls[$0 + 1]] } ?? [])
    }

    /// Returns a server that all tests share that do not disturb it. Their keys carry session ids
    /// of their own.
    public static func shared() async throws -> RedisServer { try await sharedTask.value }
    private static let sharedTask = Task { try await start() }

    /// Returns what `redis-cli` prints for a command.
    @discardableResult
    public func cli(_ arguments: String...) throws -> String { try cli(arguments) }

    @discardableResult
    public func cli(_ arguments: [String]) throws -> String {
        // Some tests look for what the code under test sends without waiting for a reply. The start of
        // a program gives that time to arrive.
        var text = try ChildProcess.output(
            "redis-cli", ["-s", socket, "--raw"] + (password.map { ["--no-auth-warning", "-a", $0] } ?? []) + arguments)
        if text.hasSuffix("\n") { text.removeLast() }
        return text
    }

    public func lines(_ arguments: String...) throws -> [String] { try lines(arguments) }

    public func lines(_ arguments: [String]) throws -> [String] {
        try cli(arguments).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// Returns the messages of a session's history, as Redis holds them.
    public func history(_ session: SessionID) throws -> [JSON] {
        let key = RedisKeys(session).history
        let length = Int(try cli("LLEN", key)) ?? 0
        guard length > 0 else { return [] }
        // If a test deletes the history meanwhile, `redis-cli` prints one empty line.
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

/// Returns a loopback port on which no process listens, outside of the range from which the system
/// gives ports to clients. The function connects to the port to find out. If it bound the port, a
/// child that starts at that moment would inherit the socket.
public func freePort() throws -> Int {
    while true {
        let port = Int.random(in: 15_000..<32_000)
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        guard let channel = try? bootstrap.connect(host: "127.0.0.1", port: port).wait() else { return port }
        try channel.close().wait()
    }
}
