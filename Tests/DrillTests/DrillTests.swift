import Foundation
import TestSupport
import Testing

@testable import failover_drill

/// Runs drills as a user runs them.
@Suite("Whole drills", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct DrillProcessTests {
    private func drill(_ arguments: [String], exit code: Int32, temporary: URL? = nil) async throws -> ChildProcess {
        let program = try Replica.executable().deletingLastPathComponent().appending(path: "failover-drill")
        var environment = ProcessInfo.processInfo.environment
        environment["TMPDIR"] = temporary?.path ?? environment["TMPDIR"]
        let process = try ChildProcess(program.path, arguments, environment: environment, directory: temporaryDirectory())
        #expect(try await process.ended(timeout: .seconds(240)) == code, "\(process.log.suffix(4000))")
        return process
    }

    /// The drills are short, with few conversations. Together they cause each kind of fault once.
    @Test(
        "A short drill with four faults finds nothing wrong and leaves nothing behind",
        arguments: [
            ("sentinel", "redis-kill,pause,terminate,failover", "deepseek"), ("cluster", "redis-kill,kill,model,redis-sleep", "openrouter"),
            ("single", "redis-cut,cut,client-kill,script-flush", "gemini"),
        ]
    )
    func allHolds(redis: String, faults: String, personality: String) async throws {
        let directory = try temporaryDirectory()
        let (json, html) = (directory.path + "/drill.json", directory.path + "/drill.html")
        let arguments = [
            "--local", "--redis", redis, "--duration", "22", "--every", "4", "--conversations", "6", "--seed", "7", "--faults", faults,
            "--lease-ms", "1000", "--json", json, "--html", html, "--personality", personality,
        ]
        let temporary = try temporaryDirectory()
        let process = try await drill(arguments, exit: 0, temporary: temporary)
        let report = try JSON(String(contentsOfFile: json, encoding: .utf8))
        #expect(report["sound"] == true && report["violations"].array.isEmpty)
        #expect(report["title"].string?.hasSuffix("model: \(personality)") == true)
        #expect(report["faults"].array.count == 4 && (report["turns"].int ?? 0) > 50, "\(report)")
        #expect(process.log.contains("all held"))
        let page = try String(contentsOfFile: html, encoding: .utf8)
        #expect(page.contains("<svg") && page.contains("Everything held."))
        // No process still runs: each process used a folder there.
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path).isEmpty)
        let places = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")
        }
        #expect(!places.isEmpty && !places.contains { $0.hasPrefix(temporary.path) })
    }

    /// The clients of both tenants use the same session ids.
    @Test("A drill of two tenants sees refusals, no account above its limit, and nothing of the other", arguments: [1, 2])
    func limitsHold(tenants: Int) async throws {
        let json = try temporaryDirectory().path + "/drill.json"
        let arguments = [
            "--local", "--redis", "single", "--limits", "3", "--tenants", "\(tenants)", "--duration", "20", "--every", "5",
            "--conversations", "\(9 * tenants)",
            "--seed", "5",
            "--faults", "kill,pause,redis-stall", "--lease-ms", "1000", "--json", json, "--personality", "plain",
        ]
        let process = try await drill(arguments, exit: 0)
        let report = try JSON(String(contentsOfFile: json, encoding: .utf8))
        #expect(report["sound"] == true && report["violations"].array.isEmpty)
        #expect(report["refusals"].int ?? 0 > 10 && report["most_leases"] == 3 && report["turns"].int ?? 0 > 20, "\(report)")
        #expect(process.log.contains("most leases of an account 3"))
    }

    /// The faults are the user's commands, and the model is the scripted one.
    @Test("A drill runs against an existing deployment, and reports a fault that failed")
    func aDeploymentThatIsThere() async throws {
        let redis = try await RedisServer.start()
        let replica = try await Replica.start(redis: redis.url)
        let kill = "kill=redis-cli -s \(redis.socket) CLIENT KILL TYPE normal"
        _ = try await drill(
            ["--url", replica.url, "--duration", "8", "--every", "2", "--conversations", "3", "--fault", kill, "--quiet"], exit: 0)
        // If the drill cannot cause a fault, it has not tested that fault, and fails.
        let failed = try await drill(["--url", replica.url, "--duration", "8", "--every", "2", "--fault", "no=exit 3", "--quiet"], exit: 1)
        #expect(failed.log.contains("the fault no failed: exit code 3"))
        try await replica.stop()
        try await redis.kill()
    }

    /// The demo's model calls two tools at once, and then quotes their results.
    @Test("The demo's model calls two tools and requires its reasoning back")
    func theModelAlone() async throws {
        let program = try Replica.executable().deletingLastPathComponent().appending(path: "failover-drill")
        let process = try ChildProcess(
            program.path, ["--model", "--personality", "kimi"], environment: ProcessInfo.processInfo.environment,
            directory: temporaryDirectory())
        let url = String(try await process.line(/(http:\/\/127\.0\.0\.1:[0-9]+\/v1)/))
        let client = AgentClient(url: url)
        func ask(_ messages: [JSON]) async throws -> Answer {
            let body: JSON = ["model": "m", "stream": false, "messages": .array(messages)]
            return try await client.send("POST", "/chat/completions", body: body.text)
        }
        let user: JSON = ["role": "user", "content": "read_file notes.txt\necho hello"]
        let asked = try await ask([user])
        let message = asked.json["choices"][0]["message"]
        let calls = message["tool_calls"].array
        #expect(calls.map { $0["function"]["arguments"] } == [#"{"path":"notes.txt"}"#, #"{"text":"hello"}"#])
        let results: [JSON] = calls.map { ["role": "tool", "tool_call_id": $0["id"], "content": "something"] }
        let answered = try await ask([user, message] + results)
        #expect(answered.json["choices"][0]["message"]["content"] == "The tools returned: something; something")
        // The model refuses its own message if the message lacks its reasoning.
        let bare = message.object.filter { $0.key != "reasoning_content" }
        #expect(try await ask([user, .object(bare)] + results).status == 400)
        process.signal(SIGTERM)
        #expect(try await process.ended() == 0)
    }

    @Test("Impossible options are refused with exit code 64")
    func whatCannotBeIsSaid() async throws {
        for arguments in [
            [], ["--local", "--url", "http://x"], ["--local", "--redis", "x"], ["--local", "--faults", "x"],
            ["--local", "--duration", "0"], ["--local", "--personality", "x"], ["--local", "--model"],
            ["--local", "--tenants", "3"], ["--local", "--limits", "-1"], ["--url", "http://x", "--limits", "1"],
            ["--model", "--port", "65536"],
        ] {
            _ = try await drill(arguments, exit: 64)
        }
        let nobody = try await drill(["--url", "http://127.0.0.1:\(freePort())"], exit: 69)
        #expect(nobody.log.contains("cannot be reached"))
    }
}
