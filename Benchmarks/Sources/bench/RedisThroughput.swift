import Foundation
import Logging
import NIOCore
import NIOPosix
import RedisClient
import SessionStore

extension Bench {
    /// Measures RPUSH and LRANGE over one connection, and compares them with `redis-benchmark` at
    /// the same number of commands in flight.
    func redis() async throws {
        say("\nredis: commands per second over one connection, 512 in flight, 100-byte values; medians of \(runs) runs")
        let directory = FileManager.default.temporaryDirectory.appending(path: "bench-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let socket = directory.path + "/redis.sock"
        let server = try Child("redis-server", ["--port", "0", "--unixsocket", socket, "--save", "", "--loglevel", "warning"])
        try await Setup.wait("redis-server") { FileManager.default.fileExists(atPath: socket) }
        let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = RedisConnectionPool(configuration: RedisConfiguration(.unix(path: socket)), eventLoopGroup: group, logger: logger)
        guard await client.waitUntilReady(timeout: .seconds(5)) else { throw Failure(description: "no connection") }
        let connection = client.connection(for: "")

        let value = String(repeating: "v", count: 100)
        let cases: [(name: String, command: @Sendable () -> RedisCommand, benchmark: [String])] = [
            ("RPUSH", { RedisCommand("RPUSH", "list", value) }, ["RPUSH", "list2", value]),
            ("LRANGE of 10", { RedisCommand("LRANGE", "list", "0", "9") }, ["LRANGE", "list", "0", "9"]),
        ]
        row([("command", 12), ("this client/s", 13), ("redis-benchmark/s", 17), ("ratio", 6)])
        for test in cases {
            var own: [Double] = []
            var theirs: [Double] = []
            for _ in 0..<runs {
                own.append(try await throughput(connection, count: 300_000, window: 512, command: test.command))
                theirs.append(try redisBenchmark(socket, test.benchmark))
            }
            row([(test.name, 12), (format(own.median, 0), 13), (format(theirs.median, 0), 17), (format(own.median / theirs.median), 6)])
        }
        client.shutDown()
        server.stop()
    }

    private func throughput(
        _ connection: RedisConnection, count: Int, window: Int, command: @escaping @Sendable () -> RedisCommand
    ) async throws -> Double {
        let start = Date()
        let promise = connection.eventLoop.makePromise(of: Void.self)
        let pump = Pump(connection: connection, count: count, command: command, promise: promise)
        pump.start(window: window)
        try await promise.futureResult.get()
        return Double(count) / Date().timeIntervalSince(start)
    }

    private func redisBenchmark(_ socket: String, _ command: [String]) throws -> Double {
        let text = try Child.output(
            "redis-benchmark", ["-s", socket, "-c", "1", "-P", "512", "-n", "300000", "--csv"] + command)
        let fields = text.split(separator: "\n").last?.split(separator: ",") ?? []
        guard fields.count > 1, let rate = Double(fields[1].filter { $0 != "\"" }) else {
            throw Failure(description: "redis-benchmark printed \(text)")
        }
        return rate
    }
}

/// Keeps a fixed number of commands in flight. It lives on the connection's event loop.
private final class Pump: Sendable {
    private let connection: RedisConnection
    private let left: NIOLoopBoundBox<(sent: Int, answered: Int)>
    private let count: Int
    private let command: @Sendable () -> RedisCommand
    private let promise: EventLoopPromise<Void>

    init(connection: RedisConnection, count: Int, command: @escaping @Sendable () -> RedisCommand, promise: EventLoopPromise<Void>) {
        self.connection = connection
        self.count = count
        self.command = command
        self.promise = promise
        left = .makeBoxSendingValue((0, 0), eventLoop: connection.eventLoop)
    }

    func start(window: Int) {
        connection.eventLoop.execute { for _ in 0..<window { self.send() } }
    }

    private func send() {
        guard left.value.sent < count else { return }
        left.value.sent += 1
        connection.submit(command()) { result in
            if case .failure(let error) = result { return self.promise.fail(error) }
            self.left.value.answered += 1
            if self.left.value.answered == self.count { self.promise.succeed() } else { self.send() }
        }
    }
}
