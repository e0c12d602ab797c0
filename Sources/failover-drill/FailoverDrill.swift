import ArgumentParser
import Foundation
import LocalDeployment
import NIOCore

/// Rehearses failures: clients talk, faults happen, and afterwards every session is held against what its client was told.
@main
struct FailoverDrill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failover-drill",
        abstract: "Drives conversations through a deployment while faults happen, then checks every session.",
        discussion: """
            With --local it builds a deployment on loopback: Redis (redis-server), three replicas of agent-server, HAProxy, and a model of its own, \
            which passes for one of these servers: \(Personality.allCases.map(\.rawValue).joined(separator: ", ")). \
            The faults are \(FaultKind.allCases.map(\.rawValue).joined(separator: ", ")).

            With --url it talks to a deployment that is there, with whatever model it has; the faults are commands of yours:

              failover-drill --url https://agents.example --fault 'restart=kubectl rollout restart deploy/agent-runtime' --every 60

            With --model it runs a model alone, which calls the tools that a message names in lines such as "echo hello", prints the address for \
            AGENT_RUNTIME__LLM_PROXY_URL, and ends with SIGINT or SIGTERM.

            Exit codes: 0 everything held, 1 it did not, 64 usage, 69 the deployment could not be started or reached.
            """)

    @Flag(help: "Build a deployment on loopback.")
    var local = false

    @Option(help: "The address of a deployment that is there.")
    var url: String?

    @Flag(help: "Run a scripted model alone.")
    var model = false

    @Option(help: "Whom the model passes for; the seed picks by default.")
    var personality: String?

    @Option(help: "The port of --model; a free one by default.")
    var port = 0

    @Option(help: "The environment variable that has the deployment's X-Internal-Auth key.")
    var keyVariable = "AGENT_RUNTIME__INTERNAL_API_KEY"

    @Option(help: "Redis of a local deployment: single, sentinel (a master, a replica, three sentinels) or cluster (six nodes).")
    var redis = "sentinel"

    @Option(help: "Replicas of each of Redis's masters, 1 to 5.")
    var redisReplicas = 1

    @Option(help: "Seconds, 1 or more.")
    var duration = 120

    @Option(help: "Seconds between two faults, 1 or more.")
    var every = 15

    @Option(help: "Conversations at the same time, 1 to 10000.")
    var conversations = 24

    @Option(help: "Repeats the schedule, and what the clients say.")
    var seed: UInt64?

    @Option(help: "Local faults, separated by commas; all of them by default.")
    var faults: String?

    @Option(name: .customLong("fault"), help: "NAME=COMMAND: a fault for --url; can be given more than once.")
    var commands: [String] = []

    @Option(help: "The agent-server to run; the one beside this program by default.")
    var server: String?

    @Option(help: "AGENT_RUNTIME__LEASE_MS of local replicas, 500 to 60000.")
    var leaseMS = 2000

    @Option(help: "AGENT_RUNTIME__ACK_REPLICAS of local replicas; 1 by default where Redis has replicas.")
    var ackReplicas: Int?

    @Option(help: "Seconds that a client goes on trying with one request.")
    var patience = 90

    @Option(help: "Write the report as JSON to this file.")
    var json: String?

    @Option(help: "Write the report as a page for a browser to this file.")
    var html: String?

    @Flag(help: "Print nothing but the report.")
    var quiet = false

    func validate() throws {
        guard [local, model, url != nil].count(where: \.self) == 1 else { throw ValidationError("give either --local, --url or --model") }
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535") }
        guard duration >= 1 else { throw ValidationError("--duration must be 1 or more") }
        guard every >= 1 else { throw ValidationError("--every must be 1 or more") }
        guard (1...10_000).contains(conversations) else { throw ValidationError("--conversations must be from 1 to 10000") }
        guard (500...60_000).contains(leaseMS) else { throw ValidationError("--lease-ms must be from 500 to 60000") }
        guard (1...5).contains(redisReplicas) else { throw ValidationError("--redis-replicas must be from 1 to 5") }
        guard patience >= 1 else { throw ValidationError("--patience must be 1 or more") }
        _ = try (topology(), kinds(), faultCommands(), personality(for: 0))
        if local, !commands.isEmpty { throw ValidationError("--fault is for --url; local faults are named with --faults") }
        if let url, URL(string: url)?.host == nil { throw ValidationError("--url must be an address such as http://127.0.0.1:8001") }
    }

    func run() async throws {
        // A different one each time, unless it is given.
        let seed = seed ?? UInt64.random(in: 0..<1_000_000)
        if model { return try await runModel(try personality(for: seed)) }
        let progress = Progress(run: String(UInt32.random(in: .min ... .max), radix: 36))
        let options = Drill.Options(
            title: try url.map { "failover-drill of \($0)" }
                ?? "failover-drill on loopback, Redis: \(redis), model: \(personality(for: seed).rawValue)",
            duration: .seconds(duration), interval: .seconds(every), conversations: conversations, seed: seed, patience: .seconds(patience))
        let summary = local ? try await runLocally(options, progress) : try await runElsewhere(options, progress)
        print(summary.text)
        if let json { try write(summary.json.text + "\n", to: json) }
        if let html { try write(HTMLReport(summary: summary).text, to: html) }
        if !summary.isSound { throw ExitCode(1) }
    }

    // MARK: A deployment on loopback

    private func runLocally(_ options: Drill.Options, _ progress: Progress) async throws -> Summary {
        let topology = try topology()
        let personality = try personality(for: options.seed)
        let system: LocalSystem
        do {
            system = try await LocalSystem.start(
                .init(
                    server: try server.map { URL(filePath: $0) } ?? Replica.executable(), redis: topology, redisReplicas: redisReplicas,
                    lease: .milliseconds(leaseMS), ackReplicas: ackReplicas ?? (topology == .single ? 0 : 1), personality: personality))
        } catch {
            throw Failure.unavailable("the deployment could not be started: \(error)")
        }
        let faults = try kinds().filter { $0.exists(in: system.redis) }
        let injector = FaultInjector(system: system)
        let drill = Drill(
            options: options, url: system.balancer.url, headers: [:], faults: faults.map(\.rawValue),
            inject: { entry in
                guard let kind = FaultKind(rawValue: entry.name) else { return "" }
                return try await injector.inject(kind, choice: entry.choice)
            }, model: system.model, progress: progress)
        let summary = await watched(drill)
        if let logs = await system.stop(keepsLogs: !summary.isSound) { view(drill).print("the replicas' logs: \(logs.path)") }
        return summary
    }

    // MARK: The model alone

    private func runModel(_ personality: Personality) async throws {
        let model: Upstream
        do {
            model = try await DemoModel.start(as: personality, port: port)
        } catch {
            throw Failure.unavailable("the model could not be started: \(error)")
        }
        FileHandle.standardOutput.write(Data("\(model.baseURL)\n".utf8))
        let (ends, end) = AsyncStream<Void>.makeStream()
        let interruption = Interruption { end.finish() }
        defer { interruption.end() }
        for await _ in ends {}
        model.stop()
    }

    // MARK: A deployment that is there

    private func runElsewhere(_ options: Drill.Options, _ progress: Progress) async throws -> Summary {
        let address = url ?? ""
        var headers: [String: String] = [:]
        if let key = ProcessInfo.processInfo.environment[keyVariable], !key.isEmpty { headers["X-Internal-Auth"] = key }
        let ready: Answer
        do {
            ready = try await AgentClient(url: address, headers: headers).get("/agent/sessions?limit=1")
        } catch {
            throw Failure.unavailable("\(address) cannot be reached: \(error)")
        }
        guard ready.status == 200 else { throw Failure.unavailable("\(address) answers \(ready.status) \(ready.code ?? "")") }
        let commands = Dictionary(try faultCommands().map { ($0.name, $0) }) { $1 }
        let drill = Drill(
            options: options, url: address, headers: headers, faults: commands.keys.sorted(),
            inject: { entry in
                try await commands[entry.name]?.run()
                return commands[entry.name]?.command ?? ""
            }, model: nil, progress: progress)
        return await watched(drill)
    }

    private func view(_ drill: Drill) -> LiveView {
        LiveView(progress: drill.progress, duration: drill.options.duration, isQuiet: quiet)
    }

    private func watched(_ drill: Drill) async -> Summary {
        let view = view(drill)
        view.print("\(drill.options.title), seed \(drill.options.seed)")
        let watching = Task { await view.run() }
        let running = Task { await drill.run() }
        let interruption = Interruption { running.cancel() }
        defer {
            watching.cancel()
            interruption.end()
        }
        return await running.value
    }

    // MARK: Arguments

    private func topology() throws -> RedisUnderTest.Topology {
        guard let topology = RedisUnderTest.Topology(rawValue: redis) else {
            throw ValidationError("--redis must be single, sentinel or cluster")
        }
        return topology
    }

    private func kinds() throws -> [FaultKind] {
        guard let faults else { return FaultKind.allCases }
        return try faults.split(separator: ",").map { name in
            guard let kind = FaultKind(rawValue: String(name)) else {
                throw ValidationError(
                    "--faults: there is no \(name); there are \(FaultKind.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return kind
        }
    }

    private func personality(for seed: UInt64) throws -> Personality {
        guard let personality else { return .picked(by: seed) }
        guard let known = Personality(rawValue: personality) else {
            let names = Personality.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--personality: there is no \(personality); there are \(names)")
        }
        return known
    }

    private func faultCommands() throws -> [FaultCommand] {
        try commands.map { text in
            guard let command = FaultCommand(text) else { throw ValidationError("--fault must be NAME=COMMAND, not \(text)") }
            return command
        }
    }

    private func write(_ text: String, to file: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: file))
        } catch {
            throw Failure.unavailable("\(file) cannot be written: \(error.localizedDescription)")
        }
    }
}

enum Failure {
    /// One line, and exit code 69 (EX_UNAVAILABLE of sysexits).
    static func unavailable(_ text: String) -> ExitCode {
        FileHandle.standardError.write(Data("failover-drill: \(text)\n".utf8))
        return ExitCode(69)
    }
}
