public import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// A real `agent-server` process of the test's own.
public final class Replica: Sendable {
    public let process: ChildProcess
    public let url: String
    public let name: String

    public var client: AgentClient { AgentClient(url: url) }

    private init(process: ChildProcess, url: String, name: String) {
        self.process = process
        self.url = url
        self.name = name
    }

    /// - Parameters:
    ///   - redis: A Redis URL; nil for the embedded one.
    ///   - upstream: The model's base URL; nil for the scripted one.
    ///   - environment: Further settings.
    public static func start(
        redis: String?, upstream: String? = nil, name: String = "replica-\(UUID().uuidString.prefix(4))",
        environment: [String: String] = [:],
        directory: URL? = nil, server: URL? = nil
    ) async throws -> Replica {
        let process = try launch(
            redis: redis, upstream: upstream, name: name, environment: environment, directory: directory, server: server)
        let url = try await process.line(/(http:\/\/127\.0\.0\.1:[0-9]+)/)
        let replica = Replica(process: process, url: String(url), name: name)
        try await eventually("\(name) is ready; its log: \(process.log.suffix(1000))") {
            (try? await replica.client.get("/health/ready").status) == 200
        }
        return replica
    }

    /// Starts the process and waits for nothing.
    ///
    /// - Parameter server: The program; nil for the one beside the own executable.
    public static func launch(
        redis: String?, upstream: String? = nil, name: String = "replica", environment: [String: String] = [:], arguments: [String] = [],
        directory: URL? = nil, server: URL? = nil
    ) throws -> ChildProcess {
        var settings = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "PORT": "0", "AGENT_RUNTIME__REPLICA": name,
            // There is no load balancer that would have to notice.
            "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "0",
        ]
        settings["AGENT_RUNTIME__REDIS_URL"] = redis
        settings["AGENT_RUNTIME__LLM_PROXY_URL"] = upstream
        settings.merge(environment) { $1 }
        return try ChildProcess(
            (server ?? executable()).path, arguments, environment: settings, directory: directory ?? temporaryDirectory())
    }

    /// The server that lies beside the own executable.
    public static func executable() throws -> URL {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var candidates = [URL(filePath: own).deletingLastPathComponent()]
        candidates += CommandLine.arguments.filter { $0.contains(".xctest") }.map { URL(filePath: $0).deletingLastPathComponent() }
        for directory in candidates {
            let server = directory.appending(path: "agent-server")
            if FileManager.default.isExecutableFile(atPath: server.path) { return server }
        }
        throw NeverHappened(description: "agent-server is not beside this program: \(candidates)")
    }

    /// SIGTERM, and the exit code.
    @discardableResult
    public func stop() async throws -> Int32 {
        process.signal(SIGTERM)
        return try await process.ended()
    }

    public func kill() async throws {
        process.signal(SIGKILL)
        _ = try await process.ended()
    }

    /// Returns when none of its threads runs any more: the signal takes effect some time after it was sent.
    public func pause() async throws {
        process.signal(SIGSTOP)
        while !isPaused { try await Task.sleep(for: .milliseconds(1)) }
    }

    private var isPaused: Bool {
        let tasks = "/proc/\(process.pid)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return threads.allSatisfy { thread in
            // The state stands behind the name, which is in parentheses and may hold some itself (proc_pid_stat(5)).
            let stat = (try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8)) ?? ""
            return stat.isEmpty || stat.split(separator: ")").last?.hasPrefix(" T") == true
        }
    }

    public func resume() { process.signal(SIGCONT) }

    /// Resident memory in KiB.
    public var residentKiB: Int {
        let status = (try? String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)) ?? ""
        return status.firstMatch(of: /VmRSS:\s+([0-9]+) kB/).flatMap { Int($0.output.1) } ?? 0
    }
}
