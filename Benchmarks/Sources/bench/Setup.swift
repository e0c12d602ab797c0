import Foundation
import Logging
import NIOCore
import NIOPosix

/// A Redis, a model upstream and one server, for one measurement.
final class Setup {
    let group = MultiThreadedEventLoopGroup.singleton
    let directory: URL
    let upstream: CheapUpstream
    let redis: Child
    let server: Child
    let port: Int

    init(server path: String, environment: [String: String] = [:], redisOptions: [String] = []) async throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "bench-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        upstream = try await CheapUpstream.start(tokens: 100, group: group)
        let socket = directory.path + "/redis.sock"
        redis = try Child(
            "redis-server",
            ["--port", "0", "--unixsocket", socket, "--dir", directory.path, "--save", "", "--appendonly", "yes", "--loglevel", "warning"]
                + redisOptions)
        try await Self.wait("redis-server") { FileManager.default.fileExists(atPath: socket) }
        port = Int.random(in: 15_000..<30_000)
        let settings = [
            "PORT": "\(port)", "AGENT_RUNTIME__REDIS_URL": "unix://\(socket)",
            "AGENT_RUNTIME__LLM_PROXY_URL": "http://127.0.0.1:\(upstream.port)",
            "AGENT_RUNTIME__LOG_LEVEL": "warning",
        ]
        server = try Child(path, [], environment: settings.merging(environment) { $1 })
        let port = port
        try await Self.wait("agent-server") {
            let probe = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port)
                .get()
            try? await probe?.close()
            return probe != nil
        }
    }

    func stop() async throws {
        server.stop()
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

/// A child process and what the system says of it.
final class Child {
    private let process = Process()
    var pid: Int32 { process.processIdentifier }

    init(_ program: String, _ arguments: [String], environment: [String: String]? = nil) throws {
        process.executableURL = try Self.find(program)
        process.arguments = arguments
        if let environment { process.environment = environment.merging(["PATH": ProcessInfo.processInfo.environment["PATH"] ?? ""]) { $1 } }
        process.standardOutput = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    func stop() {
        process.terminate()
        process.waitWithoutRunLoop()
    }

    static func find(_ program: String) throws -> URL {
        if program.contains("/") { return URL(filePath: program) }
        for directory in (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") {
            let path = "\(directory)/\(program)"
            if FileManager.default.isExecutableFile(atPath: path) { return URL(filePath: path) }
        }
        throw Failure(description: "\(program) is not installed")
    }

    /// Seconds of CPU so far, in user and kernel mode.
    var cpuSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        let fields = text[(text.lastIndex(of: ")").map { text.index(after: $0) } ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    var residentKiB: Double {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        guard let range = text.firstRange(of: "VmRSS:") else { return 0 }
        return Double(text[range.upperBound...].drop { $0.isWhitespace }.prefix { $0.isNumber }) ?? 0
    }
}

extension Process {
    /// `waitUntilExit()` runs the thread's run loop, and on a thread of Swift's pool nothing ever wakes that up.
    func waitWithoutRunLoop() {
        while isRunning { usleep(2000) }
    }
}
