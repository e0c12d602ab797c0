public import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// An `agent-server` process.
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

    /// Starts a replica and waits until it is ready.
    ///
    /// - Parameters:
    ///   - redis: A Redis URL; nil for the embedded server.
    ///   - upstream: The model's base URL; nil for the built-in scripted model.
    ///   - environment: Further settings.
    ///   - server: The program; nil for the one in this program's directory.
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

    /// Starts the process and does not wait until it is ready.
    ///
    /// - Parameter server: The program; nil for the one in this program's directory.
    public static func launch(
        redis: String?, upstream: String? = nil, name: String = "replica", environment: [String: String] = [:], arguments: [String] = [],
        directory: URL? = nil, server: URL? = nil
    ) throws -> ChildProcess {
        var settings = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "PORT": "0", "AGENT_RUNTIME__REPLICA": name,
            // Without a load balancer, a drain need not be announced.
            "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "0",
        ]
        settings["AGENT_RUNTIME__REDIS_URL"] = redis
        settings["AGENT_RUNTIME__LLM_PROXY_URL"] = upstream
        settings.merge(environment) { $1 }
        return try ChildProcess(
            (server ?? executable()).path, arguments, environment: settings, directory: directory ?? temporaryDirectory())
    }

    /// Finds the `agent-server` in this program's directory.
    public static func executable() throws -> URL {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var candidates = [URL(filePath: own).deletingLastPathComponent()]
        candidates += CommandLine.arguments.filter { $0.contains(".xctest") }.map { URL(filePath: $0).deletingLastPathComponent() }
        for directory in candidates {
            let server = directory.appending(path: "agent-server")
            if FileManager.default.isExecutableFile(atPath: server.path) { return server }
        }
        throw NeverHappened(description: "agent-server is not in this program's directory: \(candidates)")
    }

    /// Sends SIGTERM and waits for the end of the process.
    ///
    /// - Returns: The exit code.
    @discardableResult
    public func stop() async throws -> Int32 {
        process.signal(SIGTERM)
        return try await process.ended()
    }

    public func kill() async throws {
        process.signal(SIGKILL)
        _ = try await process.ended()
    }

    /// Stops all of the process's threads. The signal takes effect some time after it was sent, so
    /// this returns only after every thread has stopped.
    public func pause() async throws {
        process.signal(SIGSTOP)
        while !isPaused { try await Task.sleep(for: .milliseconds(1)) }
    }

    private var isPaused: Bool {
        let tasks = "/proc/\(process.pid)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return threads.allSatisfy { thread in
            // The state follows the name, which is in parentheses and may itself hold parentheses
            // (proc_pid_stat(5)).
            let stat = (try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8)) ?? ""
            return stat.isEmpty || stat.split(separator: ")").last?.hasPrefix(" T") == true
        }
    }

    public func resume() { process.signal(SIGCONT) }

    /// The process's resident memory in KiB.
    public var residentKiB: Int {
        let status = (try? String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)) ?? ""
        return status.firstMatch(of: /VmRSS:\s+([0-9]+) kB/).flatMap { Int($0.output.1) } ?? 0
    }
}
