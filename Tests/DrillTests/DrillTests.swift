import Foundation
import TestSupport
import Testing

@testable import failover_drill

/// Whole drills, as a user runs them.
@Suite(.timeLimit(.minutes(5))) struct DrillTests {
    private func drill(_ arguments: [String], exit code: Int32, temporary: URL? = nil) async throws -> ChildProcess {
        let program = try Replica.executable().deletingLastPathComponent().appending(path: "failover-drill")
        var environment = ProcessInfo.processInfo.environment
        environment["TMPDIR"] = temporary?.path ?? environment["TMPDIR"]
        let process = try ChildProcess(program.path, arguments, environment: environment, directory: temporaryDirectory())
        #expect(try await process.ended(timeout: .seconds(240)) == code, "\(process.log.suffix(4000))")
        return process
    }

    /// Short, and of few conversations; all the same each kind of fault comes in one of them.
    @Test(arguments: [
        ("sentinel", "redis-kill,pause,terminate,failover"), ("cluster", "redis-kill,kill,model,redis-sleep"),
        ("single", "redis-cut,cut,client-kill,script-flush"),
    ]) func allHolds(redis: String, faults: String) async throws {
        let directory = try temporaryDirectory()
        let (json, html) = (directory.path + "/drill.json", directory.path + "/drill.html")
        let arguments = [
            "--local", "--redis", redis, "--duration", "22", "--every", "4", "--conversations", "6", "--seed", "7", "--faults", faults,
            "--lease-ms", "1000", "--json", json, "--html", html,
        ]
        let temporary = try temporaryDirectory()
        let process = try await drill(arguments, exit: 0, temporary: temporary)
        let report = try JSON(String(contentsOfFile: json, encoding: .utf8))
        #expect(report["sound"] == true && report["violations"].array.isEmpty)
        #expect(report["faults"].array.count == 4 && (report["turns"].int ?? 0) > 50, "\(report)")
        #expect(process.log.contains("all held"))
        let page = try String(contentsOfFile: html, encoding: .utf8)
        #expect(page.contains("<svg") && page.contains("Everything held."))
        // Nothing that it started lives on: each process had its folder there.
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path).isEmpty)
        let places = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")
        }
        #expect(!places.isEmpty && !places.contains { $0.hasPrefix(temporary.path) })
    }

    /// Against a deployment that is there, with faults of the user's own, and with the scripted model.
    @Test func aDeploymentThatIsThere() async throws {
        let redis = try await RedisServer.start()
        let replica = try await Replica.start(redis: redis.url)
        let kill = "kill=redis-cli -s \(redis.socket) CLIENT KILL TYPE normal"
        _ = try await drill(
            ["--url", replica.url, "--duration", "8", "--every", "2", "--conversations", "3", "--fault", kill, "--quiet"], exit: 0)
        // A fault that could not be made proves nothing.
        let failed = try await drill(["--url", replica.url, "--duration", "8", "--every", "2", "--fault", "no=exit 3", "--quiet"], exit: 1)
        #expect(failed.log.contains("the fault no failed: exit code 3"))
        try await replica.stop()
        try await redis.kill()
    }

    @Test func whatCannotBeIsSaid() async throws {
        for arguments in [
            [], ["--local", "--url", "http://x"], ["--local", "--redis", "x"], ["--local", "--faults", "x"],
            ["--local", "--duration", "0"],
        ] {
            _ = try await drill(arguments, exit: 64)
        }
        let nobody = try await drill(["--url", "http://127.0.0.1:\(freePort())"], exit: 69)
        #expect(nobody.log.contains("cannot be reached"))
    }
}
