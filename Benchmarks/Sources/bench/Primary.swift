import Foundation
import Logging
import NIOCore
import NIOPosix
import RedisClient
import SessionStore

extension Bench {
    /// Measures how many turns one Redis carries. One thread drives the store alone, so that Redis
    /// has a core of its own. A turn is a begin with the history, the given number of appends to
    /// the log, and the commit. A session is replaced after ten turns.
    func primary() async throws {
        say("\nprimary: turns by the store alone, 64 sessions at the same time; \(runs) runs of \(format(seconds, 1)) s, medians")
        row([
            ("Redis", 8), ("appends", 8), ("tokens each", 11), ("turns/s", 8), ("Redis CPU us/turn", 17), ("busiest node us/turn", 20),
            ("busy cores", 10),
        ])
        for nodes in [1, 3] {
            for (appends, tokens) in [(0, 0), (10, 1), (10, 10)] {
                var rate: [Double] = []
                var cpu: [Double] = []
                var busiest: [Double] = []
                var busy: [Double] = []
                for _ in 0..<runs {
                    let servers = try await RedisNodes.start(nodes)
                    let sample = try await StoreLoad(appends: appends, tokens: tokens).run(servers, seconds: seconds)
                    rate.append(Double(sample.turns) / sample.elapsed)
                    cpu.append(sample.cpu.reduce(0, +) * 1e6 / Double(sample.turns))
                    busiest.append((sample.cpu.max() ?? 0) * 1e6 / Double(sample.turns))
                    busy.append(sample.cpu.reduce(0, +) / sample.elapsed)
                    servers.stop()
                }
                row([
                    (nodes == 1 ? "single" : "Cluster", 8), ("\(appends)", 8), ("\(tokens)", 11), (format(rate.median, 0), 8),
                    (format(cpu.median, 1), 17), (format(busiest.median, 1), 20), (format(busy.median, 2), 10),
                ])
            }
        }
    }
}

/// One Redis, or the masters of a Cluster.
struct RedisNodes {
    let servers: [Child]
    let url: String
    let directory: URL

    static func start(_ count: Int) async throws -> RedisNodes {
        let directory = FileManager.default.temporaryDirectory.appending(path: "bench-\(UUID().uuidString.prefix(8))")
        let base = Int.random(in: 15_000..<25_000)
        let addresses = (0..<count).map { "127.0.0.1:\(base + $0)" }
        let servers = try (0..<count).map { index in
            let home = directory.appending(path: "\(index)")
            try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
            let options = ["--port", "\(base + index)", "--dir", home.path, "--save", "", "--appendonly", "yes", "--loglevel", "warning"]
            return try Child("redis-server", options + (count > 1 ? ["--cluster-enabled", "yes"] : []))
        }
        func answers(_ words: [String], _ expected: String) -> Bool {
            (0..<count).allSatisfy { (try? Child.output("redis-cli", ["-p", "\(base + $0)"] + words))?.contains(expected) == true }
        }
        try await Setup.wait("redis-server") { answers(["PING"], "PONG") }
        if count > 1 {
            _ = try Child.output("redis-cli", ["--cluster", "create"] + addresses + ["--cluster-yes"])
            try await Setup.wait("the Cluster") { answers(["CLUSTER", "INFO"], "cluster_state:ok") }
        }
        let scheme = count > 1 ? "redis-cluster" : "redis"
        return RedisNodes(servers: servers, url: "\(scheme)://\(addresses.joined(separator: ","))", directory: directory)
    }

    func stop() {
        for server in servers { server.stop() }
        try? FileManager.default.removeItem(at: directory)
    }
}

/// Turns on a store: 64 sessions at the same time, each with one turn after another.
struct StoreLoad {
    struct Sample {
        var turns: Int
        var elapsed: Double
        /// The CPU time of each server, in seconds.
        var cpu: [Double]
    }

    let appends: Int
    let tokens: Int
    /// Whose usage the turns count for.
    var accounts: [Account] = []

    func run(_ nodes: RedisNodes, seconds: Double) async throws -> Sample {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
        let client = RedisConnectionPool(configuration: try RedisConfiguration(url: nodes.url), eventLoopGroup: group, logger: logger)
        guard await client.waitUntilReady(timeout: .seconds(5)) else { throw Failure(description: "no connection") }
        let store = RedisSessionStore(client: client, configuration: StoreConfiguration(replica: "bench"), logger: logger)
        // Loads the scripts, opens the connections and lets the histories grow to their length.
        _ = try await load(store, name: "warm", until: .now() + .milliseconds(500))
        let before = nodes.servers.map(\.cpuSeconds)
        let start = Date()
        let turns = try await load(store, name: "run", until: .now() + .nanoseconds(Int64(seconds * 1e9)))
        let sample = Sample(
            turns: max(1, turns), elapsed: Date().timeIntervalSince(start), cpu: zip(nodes.servers, before).map { $0.cpuSeconds - $1 })
        client.shutDown()
        try await group.shutdownGracefully()
        return sample
    }

    private func load(_ store: RedisSessionStore, name: String, until end: NIODeadline) async throws -> Int {
        try await withThrowingTaskGroup(of: Int.self) { tasks in
            for session in 0..<64 {
                tasks.addTask {
                    var turns = 0
                    while .now() < end {
                        try await turn(store, session: "\(name)-\(session)-\(turns / 10)")
                        turns += 1
                    }
                    return turns
                }
            }
            return try await tasks.reduce(0, +)
        }
    }

    private func turn(_ store: RedisSessionStore, session name: String) async throws {
        guard let session = SessionID(name) else { throw Failure(description: "no name for a session: \(name)") }
        let message = ByteBuffer(string: #"{"role":"user","content":"Hello"}"#)
        var begin = BeginStep(session: session, input: .user(message))
        begin.accounts = accounts
        guard case .started(let step) = try await store.begin(begin, as: .tenant) else {
            throw Failure(description: "a step did not begin")
        }
        var events = LoggedEvents(firstSequence: 1)
        let route = store.route(for: session)
        for _ in 0..<appends {
            for _ in 0..<tokens { events.append(token: "token ") }
            let batch = events.takeAll()
            let answer = await withCheckedContinuation { continuation in
                store.append(batch, lease: step.lease, renews: false, on: route) { answer, _ in continuation.resume(returning: answer) }
            }
            guard try answer.get() == .held else { throw Failure(description: "a lease was lost") }
        }
        // The end of a step, as the server writes it: the whole text, and `done`.
        let text = String(repeating: "token ", count: 100)
        events.append(.message, json: ByteBuffer(string: #"{"type":"assistant_message","content":"\#(text)","is_final":true}"#))
        events.append(.done, json: ByteBuffer(string: #"{"status":"completed","session_id":"\#(name)","step":\#(step.lease.step)}"#))
        let answer = try await store.commit(
            StepCommit(
                lease: step.lease, messages: [ByteBuffer(string: #"{"role":"assistant","content":"\#(text)"}"#)], calls: [], events: events,
                promptTokens: 9, completionTokens: 100,
                journalLine: ByteBuffer(string: #"{"step":\#(step.lease.step),"status":"completed","owner":"bench","ms":1}"#)))
        guard answer == .held else { throw Failure(description: "a lease was lost") }
    }
}
