import Foundation
import Logging
import NIOPosix

extension EmbeddedRedis {
    enum Ping {
        case answers, busy, absent
    }

    func ping() async -> Ping {
        do {
            _ = try await ask(patience: .milliseconds(500)) { connection throws(RedisError) in
                try await connection.send(RedisCommand("PING"))
            }
            return .answers
        } catch {
            switch error.code {
            case .loading, .timeout, .busy: return .busy
            // The server is up and readable. It refuses even `PING` while it cannot write its disk.
            case .writesRefused: return .answers
            case .connectionFailed where FileManager.default.fileExists(atPath: socket) && !isRefused(error): return .busy
            default: return .absent
            }
        }
    }

    /// Whether the socket's file exists without a server behind it.
    private func isRefused(_ error: RedisError) -> Bool {
        error.message.contains("errno: \(ECONNREFUSED)") || error.message.contains("errno: \(ENOENT)")
    }

    /// The process that replies on the socket, as it reports itself.
    func serversProcess() async -> ProcessIdentity? {
        try? await ask(patience: .seconds(5)) { connection throws(RedisError) in try await Self.serversProcess(connection) }
    }

    private static func serversProcess(_ connection: RedisConnection) async throws(RedisError) -> ProcessIdentity? {
        RedisInformation([try await connection.send(RedisCommand("INFO", "server"))])["process_id"]
            .flatMap { pid_t($0) }.flatMap { ProcessIdentity($0) }
    }

    enum Shutdown: Sendable {
        case sent
        /// The directory was replaced: the server on the socket belongs to another process.
        case anotherAnswers
        case noneAnswers
    }

    /// Makes the server write its file and exit.
    func sendShutdown(to process: EmbeddedRedisProcess) async -> Shutdown {
        let shutdown = try? await ask(patience: .seconds(10)) { connection throws(RedisError) -> Shutdown in
            guard try await Self.serversProcess(connection)?.pid == process.identifier else { return .anotherAnswers }
            // The reply to `SHUTDOWN` is the end of the connection.
            _ = try? await connection.send(RedisCommand("SHUTDOWN"))
            return .sent
        }
        return shutdown ?? .noneAnswers
    }

    private func ask<Value: Sendable>(
        patience: Duration, _ body: (RedisConnection) async throws(RedisError) -> Value
    ) async throws(RedisError) -> Value {
        var configuration = configuration
        configuration.connectTimeout = patience
        configuration.commandTimeout = patience
        let quiet = Logger(label: "embedded-redis") { _ in SwiftLogNoOpLogHandler() }
        let connection = RedisConnection(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), logger: quiet)
        connection.start()
        defer { connection.shutDown() }
        return try await body(connection)
    }
}
