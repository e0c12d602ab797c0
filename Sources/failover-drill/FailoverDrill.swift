import ArgumentParser
import Foundation
import LocalDeployment
import Logging
import NIOCore
import NIOPosix
import RedisClient

/// Rehearses failures: clients hold conversations, faults happen, and then every session is compared
/// with what its client has seen.
@main
struct FailoverDrill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failover-drill",
        abstract: "Drives conversations through a deployment while faults happen, then checks every session.",
        discussion: """
            With --local it builds a deployment on loopback: Redis (redis-server), three replicas of agent-server, HAProxy, and a model \
            of its own, which imitates one of these model servers: \(Personality.allCases.map(\.rawValue).joined(separator: ", ")). \
            The faults are:

            \(FaultKind.allCases.map { "  \($0.rawValue): \($0.summary)" }.joined(separator: "\n"))

            With --url it talks to a deployment that is already running, with any model. The faults are commands of yours:

              failover-drill --url https://agents.example --fault 'restart=kubectl rollout restart deploy/agent-runtime' --every 60

            With --model it runs only a scripted model. The model calls the tools that a message names in lines such as "echo hello". \
            The command prints the address for AGENT_RUNTIME__LLM_PROXY_URL, and ends on SIGINT or SIGTERM.

            Exit codes: 0 the service kept its promises, 1 it did not, 64 usage, 69 the deployment could not be started or reached.
            """)

    @Flag(help: "Build a deployment on loopback.")
    var local = false

    @Option(help: "The address of a deployment that is already running.")
    var url: String?

    @Flag(help: "Run only a scripted model.")
    var model = false

    @Option(help: "The model server that the model imitates; by default, the seed picks one.")
    var personality: String?

    @Option(help: "The port of --model; by default a free one.")
    var port = 0

    @Option(help: "The environment variable that holds the deployment's X-Internal-Auth key.")
    var keyVariable = "AGENT_RUNTIME__INTERNAL_API_KEY"

    @Option(help: "The Redis of a local deployment: single, sentinel (a master, a replica, three sentinels) or cluster (six nodes).")
    var redis = "sentinel"

    @Option(help: "The number of replicas of each Redis master, 1 to 5.")
    var redisReplicas = 1

    @Option(help: "How long the clients converse, in seconds, 1 or more.")
    var duration = 120

    @Option(help: "The time between two faults, in seconds, 1 or more.")
    var every = 15

    @Option(help: "The number of clients that converse at the same time, 1 to 10000.")
    var conversations = 24

    @Option(help: "Repeats the schedule of faults and the clients' messages of an earlier drill.")
    var seed: UInt64?

    @Option(help: "The faults of a local deployment, separated by commas; by default all of them.")
    var faults: String?

    @Option(name: .customLong("fault"), help: "NAME=COMMAND: a fault for --url. The option may be repeated.")
    var commands: [String] = []

    @Option(help: "The agent-server to run; by default the one in this program's directory.")
    var server: String?

    @Option(help: "AGENT_RUNTIME__LEASE_MS of local replicas, 500 to 60000.")
    var leaseMS = 2000

    @Option(help: "AGENT_RUNTIME__ACK_REPLICAS of local replicas; by default 1 if Redis has replicas, else 0.")
    var ackReplicas: Int?

    @Option(help: "How long a client retries one request, in seconds.")
    var patience = 90

    @Option(help: "The number of tenants of a local deployment, 1 or 2. Their clients use the same session ids, with keys of their own.")
    var tenants = 1

    @Option(help: "AGENT_RUNTIME__LIMIT_STREAMS of each tenant of a local deployment; 0 for no limit.")
    var limits = 0

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
        guard (1...DrillTenant.most).contains(tenants) else { throw ValidationError("--tenants must be from 1 to \(DrillTenant.most)") }
        guard limits >= 0 else { throw ValidationError("--limits must be 0 or more") }
        if !local, tenants > 1 || limits > 0 { throw ValidationError("--tenants and --limits are for --local") }
        guard patience >= 1 else { throw ValidationError("--patience must be 1 or more") }
        _ = try (topology(), kinds(), faultCommands(), personality(for: 0))
        if local, !commands.isEmpty { throw ValidationError("--fault is for --url; local faults are named with --faults") }
        if let url, URL(string: url)?.host == nil { throw ValidationError("--url must be an address such as http://127.0.0.1:8001") }
    }

    func run() async throws {
        // Without the option, each drill has another seed.
        let seed = seed ?? UInt64.random(in: 0..<1_000_000)
        if model { return try await runModel(try personality(for: seed)) }
        let progress = Progress(run: String(UInt32.random(in: .min ... .max), radix: 36))
        let options = Drill.Options(
            title: try url.map { "failover-drill of \($0)" }
                ?? "failover-drill on loopback, Redis: \(redis), model: \(personality(for: seed).rawValue)",
            duration: .seconds(duration), interval: .seconds(every), conversations: conversations, seed: seed, patience: .seconds(patience))
        let summary = local ? try await runLocally(options, progress) : try await runElsewhere(options, progress)
        Swift.print(summary.text)
        if let json { try write(summary.json.text + "\n", to: json) }
        if let html { try write(HTMLReport(summary: summary).text, to: html) }
        if !summary.isSound { throw ExitCode(1) }
    }

    // MARK: A deployment on loopback

    private func runLocally(_ options: Drill.Options, _ progress: Progress) async throws -> Summary {
        let topology = try topology()
        let personality = try personality(for: options.seed)
        let system: LocalSystem
        print("starting Redis (\(topology.rawValue)), \(LocalSystem.replicaCount) replicas, HAProxy and a model on loopback")
        do {
            system = try await LocalSystem.start(
                .init(
                    server: try server.map { URL(filePath: $0) } ?? Replica.executable(), redis: topology, redisReplicas: redisReplicas,
                    lease: .milliseconds(leaseMS), ackReplicas: ackReplicas ?? (topology == .single ? 0 : 1), personality: personality,
                    tenants: tenants, streams: limits > 0 ? limits : nil))
        } catch {
            throw Failure.unavailable("the deployment could not be started: \(error)")
        }
        let isOpen = tenants == 1 && limits == 0
        let faults = try kinds().filter { $0.exists(in: system.redis) && (isOpen || !$0.sendsRequests) }
        let injector = FaultInjector(system: system)
        let watch = try await limitWatch(of: system)
        let drill = Drill(
            options: options, url: system.balancer.url, tenants: DrillTenant.make(tenants),
            faults: faults.map { .init(name: $0.rawValue, summary: $0.summary) },
            inject: { entry in
                guard let kind = FaultKind(rawValue: entry.name) else { return "" }
                if kind.losesSlots { watch?.excuse() }
                defer { if kind.losesSlots { watch?.expectAgain() } }
                return try await injector.inject(kind, choice: entry.choice)
            }, model: system.model, progress: progress, limits: watch)
        let summary = await watched(drill)
        if let logs = await system.stop(keepsLogs: !summary.isSound) { print("the replicas' logs are in \(logs.path)") }
        return summary
    }

    /// Returns a watch of the deployment's limits; nil without limits.
    private func limitWatch(of system: LocalSystem) async throws -> LimitWatch? {
        guard limits > 0 else { return nil }
        let client: RedisConnectionPool
        do {
            client = RedisConnectionPool(
                configuration: try RedisConfiguration(url: system.redis.url), eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "drill") { _ in SwiftLogNoOpLogHandler() })
        } catch {
            throw Failure.unavailable("Redis could not be reached: \(error)")
        }
        guard await client.waitUntilReady(timeout: .seconds(20)) else { throw Failure.unavailable("Redis could not be reached") }
        return LimitWatch(client: client, limit: limits, lease: system.lease)
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

    // MARK: A deployment that is already running

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
        guard ready.status == 200 else { throw Failure.unavailable("\(address) sent the response \(ready.status) \(ready.code ?? "")") }
        let commands = Dictionary(try faultCommands().map { ($0.name, $0) }) { $1 }
        let drill = Drill(
            options: options, url: address, tenants: [.only(headers: headers)],
            faults: commands.keys.sorted().map { .init(name: $0, summary: commands[$0]?.command ?? "") },
            inject: { entry in
                try await commands[entry.name]?.run()
                return "the command succeeded"
            }, model: nil, progress: progress)
        return await watched(drill)
    }

    /// Runs a drill, and prints what it does before it does it.
    private func watched(_ drill: Drill) async -> Summary {
        let (options, view) = (drill.options, LiveView(progress: drill.progress, duration: drill.options.duration, isQuiet: quiet))
        view.print("\(options.title), seed \(options.seed)")
        view.print(
            "\(options.conversations) clients converse for \(duration) s, and then complete their turns; Ctrl-C ends the drill early")
        let names = drill.faults.map(\.name).joined(separator: ", ")
        view.print(names.isEmpty ? "no faults" : "every \(every) s one of these faults: \(names)")
        view.print("after that, every session is compared with what its client has seen")
        let watching = Task { await view.run() }
        let running = Task { await drill.run() }
        let interruption = Interruption { running.cancel() }
        let summary = await running.value
        interruption.end()
        watching.cancel()
        await watching.value
        return summary
    }

    /// Prints a line on the standard error, unless the drill is quiet.
    private func print(_ text: String) {
        if !quiet { FileHandle.standardError.write(Data((text + "\n").utf8)) }
    }

    private func write(_ text: String, to file: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: file))
        } catch {
            throw Failure.unavailable("\(file) cannot be written: \(error.localizedDescription)")
        }
    }
}
