import Foundation
import SessionStore
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite("Signals and process limits", .tags(.processes), .serialized)
struct ProcessTests {
    let redis: RedisServer
    let upstream: Upstream

    init() async throws {
        (redis, upstream) = (try await RedisServer.shared(), try await Upstream.start())
    }

    @Test("SIGHUP does not end the server")
    func aTerminalThatIsClosedEndsNoServer() async throws {
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url)
        for _ in 0..<3 { replica.process.signal(SIGHUP) }
        try await eventually("it says so") { replica.process.log.contains("SIGHUP is ignored") }
        #expect(try await replica.client.say("x", in: SessionID.unique().text).done["status"] == "completed")
        #expect(try await replica.stop() == 0)
    }

    /// SIGHUP may arrive at any time during the start.
    @Test("SIGHUP before the server listens does not end it")
    func aTerminalThatIsClosedEarly() async throws {
        // The server starts even if Redis is down.
        let process = try Replica.launch(redis: "redis://127.0.0.1:\(try freePort())")
        try await eventually("it has begun") { process.log.contains("redis:") }
        process.signal(SIGHUP)
        _ = try await process.line(/(listening)/)
        process.signal(SIGKILL)
    }

    /// The server accepts new connections and refuses their requests until load balancers have
    /// noticed.
    @Test("After SIGTERM the port stays open for the drain notice, and requests get 503")
    func thePortStaysOpenForAWhileAfterSIGTERM() async throws {
        let replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "1"])
        let begun = ContinuousClock.now
        replica.process.signal(SIGTERM)
        try await eventually("it drains") { try await replica.client.get("/health/ready").status == 503 }
        let body = AgentClient.body(SessionID.unique().text, ["content": "x"])
        var answers = 0
        while begun.duration(to: .now) < .milliseconds(900) {
            #expect(try await replica.client.get("/health/ready").code == "draining")
            #expect(try await replica.client.post(body).code == "draining")
            answers += 1
        }
        #expect(answers > 0)
        #expect(try await replica.process.ended() == 0)
        #expect(begun.duration(to: .now) >= .seconds(1))
    }

    @Test("The server raises its soft limit of file descriptors")
    func theSoftLimitOfDescriptorsIsRaised() async throws {
        var hard = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &hard)
        let port = try freePort()
        let process = try ChildProcess(
            "/bin/sh", ["-c", "ulimit -S -n 100; exec \"$0\"", try Replica.executable().path],
            environment: ["PORT": "\(port)", "AGENT_RUNTIME__REDIS_URL": redis.url], directory: try temporaryDirectory())
        _ = try await process.line(/(listening)/)
        let limits = try String(contentsOfFile: "/proc/\(process.pid)/limits", encoding: .utf8)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
        let values = line.split(separator: " ").compactMap { UInt($0) }
        #expect(values.count == 2 && values.first == values.last && values.first == hard.rlim_max)
        process.signal(SIGKILL)
    }

    /// If all file descriptors are in use, new connections wait in the system's queue, and no core
    /// is busy with them.
    @Test("Without free file descriptors the server does not spin, and logs it once")
    func whereNoDescriptorIsLeftNothingSpins() async throws {
        let port = try freePort()
        let process = try ChildProcess(
            "/bin/sh", ["-c", "ulimit -n 60; exec \"$0\"", try Replica.executable().path],
            environment: ["PORT": "\(port)", "AGENT_RUNTIME__REDIS_URL": redis.url, "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "0"],
            directory: try temporaryDirectory())
        _ = try await process.line(/(listening)/)
        var connections: [RawHTTP] = []
        for _ in 0..<100 { connections.append(try await RawHTTP.connect(port: port)) }
        let warning = "no connection can be accepted"
        try await eventually("a warning") { process.log.contains(warning) }
        let (before, begun) = (try cpuTicks(process.pid), ContinuousClock.now)
        try await eventually("two seconds") { begun.duration(to: .now) > .seconds(2) }
        let used = Double(try cpuTicks(process.pid) - before) / Double(sysconf(Int32(_SC_CLK_TCK)))
        #expect(used < 0.7, "\(used) s of CPU in 2 s")
        for connection in connections { connection.close() }
        let client = AgentClient(url: "http://127.0.0.1:\(port)")
        try await eventually("it serves again") { (try? await client.get("/health").status) == 200 }
        #expect(process.log.components(separatedBy: warning).count == 2)
        process.signal(SIGTERM)
        #expect(try await process.ended() == 0)
    }

    /// Returns the process's user and system time in clock ticks (proc_pid_stat(5)).
    private func cpuTicks(_ pid: pid_t) throws -> Int {
        let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let fields = stat.suffix(from: stat.lastIndex(of: ")") ?? stat.startIndex).split(separator: " ").dropFirst()
        return fields.dropFirst(11).prefix(2).compactMap { Int($0) }.reduce(0, +)
    }
}
