import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A Redis, a model upstream, and one or more servers, for one measurement.
final class Setup {
    let group = MultiThreadedEventLoopGroup.singleton
    let directory: URL
    let upstream: CheapUpstream
    let redis: Child
    private(set) var servers: [Child]
    let ports: [Int]
    private let start: (Int) throws -> Child
    var server: Child { servers[0] }
    var port: Int { ports[0] }

    /// Starts the Redis, the upstream and the servers.
    ///
    /// - Parameter upstreamPort: The port of another model that replaces ``upstream``.
    init(
        server path: String, replicas: Int = 1, upstreamPort: Int? = nil, environment: [String: String] = [:], redisOptions: [String] = []
    ) async throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "bench-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        upstream = try await CheapUpstream.start(tokens: 100, group: group)
        let socket = directory.path + "/redis.sock"
        redis = try Child(
            "redis-server",
            ["--port", "0", "--unixsocket", socket, "--dir", directory.path, "--save", "", "--appendonly", "yes", "--loglevel", "warning"]
                + redisOptions)
        try await Self.wait("redis-server") { FileManager.default.fileExists(atPath: socket) }
        let first = Int.random(in: 15_000..<30_000)
        ports = (0..<replicas).map { first + $0 }
        let upstreamPort = upstreamPort ?? upstream.port
        start = { port in
            let settings = [
                "PORT": "\(port)", "AGENT_RUNTIME__REDIS_URL": "unix://\(socket)",
                "AGENT_RUNTIME__LLM_PROXY_URL": "http://127.0.0.1:\(upstreamPort)",
                "AGENT_RUNTIME__LOG_LEVEL": "warning",
            ]
            return try Child(path, [], environment: settings.merging(environment) { $1 })
        }
        servers = try ports.map(start)
        for port in ports { try await Self.waitForServer(port) }
    }

    private static func waitForServer(_ port: Int) async throws {
        try await wait("agent-server") {
            let probe = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port)
                .get()
            try? await probe?.close()
            return probe != nil
        }
    }

    /// Stops a server as a deployment does, and restarts it.
    func restart(_ index: Int) async throws {
        servers[index].stop()
        servers[index] = try start(ports[index])
        try await Self.waitForServer(ports[index])
    }

    func stop() async throws {
        for server in servers { server.stop() }
        redis.stop()
        try? FileManager.default.removeItem(at: directory)
    }

    static func wait(_ what: String, _ condition: () async -> Bool) async throws {
        for _ in 0..<2000 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw Failure(description: "\(what) did not start")
    }
}

struct Failure: Error, CustomStringConvertible {
    var description: String
}

/// A child process and the system's figures about it.
///
/// Foundation's `Process` does not serve here: it reports a child's end only where a run loop runs.
final class Child {
    let pid: pid_t
    private let isStopped = Atomic<Bool>(false)

    init(_ program: String, _ arguments: [String], environment: [String: String]? = nil, output: String = "/dev/null") throws {
        let executable = try Self.find(program).path
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let variables = environment.map { $0.merging(["PATH": path]) { $1 } } ?? ProcessInfo.processInfo.environment
        let words = ([executable] + arguments).map { strdup($0) } + [nil]
        let settings = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + settings { free(word) } }
        var pid: pid_t = 0
        guard posix_spawn(&pid, executable, &actions, &attributes, words, settings) == 0 else {
            throw Failure(description: "\(executable) cannot be started")
        }
        self.pid = pid
    }

    /// Runs a program to its end and returns its output.
    static func output(_ program: String, _ arguments: [String]) throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "bench-\(UUID().uuidString).out")
        defer { try? FileManager.default.removeItem(at: file) }
        try Child(program, arguments, output: file.path).wait()
        return try String(contentsOf: file, encoding: .utf8)
    }

    func wait() {
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    func stop(_ signal: Int32 = SIGTERM) {
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        kill(pid, signal)
        wait()
    }

    static func find(_ program: String) throws -> URL {
        if program.contains("/") { return URL(filePath: program) }
        for directory in (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") {
            let path = "\(directory)/\(program)"
            if FileManager.default.isExecutableFile(atPath: path) { return URL(filePath: path) }
        }
        throw Failure(description: "\(program) is not installed")
    }

    /// The CPU time that the process has used so far, in seconds, in user and kernel mode.
    var cpuSeconds: Double { Self.cpuSeconds(of: "\(pid)") }

    /// The CPU time of this process, in seconds.
    static var ownCPUSeconds: Double { cpuSeconds(of: "self") }

    private static func cpuSeconds(of process: String) -> Double {
        let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        let fields = text[(text.lastIndex(of: ")").map { text.index(after: $0) } ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    var openFiles: Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0 }

    var residentKiB: Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        guard let range = text.firstRange(of: "VmRSS:") else { return 0 }
        return Double(text[range.upperBound...].drop { $0.isWhitespace }.prefix { $0.isNumber }) ?? 0
    }
}
