import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

@testable import SessionStore

extension RedisConnection {
    /// A connection with long deadlines, so that only what a test shortens can run out on a busy machine.
    static func open(
        _ configuration: RedisConfiguration, logger: Logger = .quiet, _ change: (inout RedisConfiguration) -> Void = { _ in }
    ) -> RedisConnection {
        var configuration = configuration
        configuration.commandTimeout = .seconds(30)
        configuration.connectTimeout = .seconds(10)
        configuration.reconnectBase = .milliseconds(5)
        configuration.reconnectLimit = .milliseconds(50)
        change(&configuration)
        let connection = RedisConnection(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), logger: logger)
        connection.start()
        return connection
    }

    /// The same connection, once it can be used.
    func ready() async throws -> RedisConnection {
        try await eventually("the connection is ready") { isReady }
        return self
    }

    func echo(_ text: String) async throws -> String? { try await send(RedisCommand("ECHO", text)).string }

    /// Asks again until there is an answer: for tests whose short timeouts a busy machine may exceed.
    func patientEcho(_ text: String) async throws -> String? {
        var reply: String?
        try await eventually("ECHO is answered") {
            guard case .success(let answer)? = try await send(pipeline: [RedisCommand("ECHO", text)]).first else { return false }
            reply = answer.string ?? "\(answer)"
            return true
        }
        return reply
    }

    /// The error that a command ends with.
    func failure(_ words: String...) async throws -> RedisError {
        var command = RedisCommand(words[0], capacity: 64)
        command.append(contentsOf: words.dropFirst())
        guard let result = try await send(pipeline: [command]).first else { throw Unexpected(description: "a result") }
        switch result {
        case .success(let reply): throw Unexpected(description: "\(words) was to fail, and was answered with \(reply)")
        case .failure(let error): return error
        }
    }
}

struct Unexpected: Error, CustomStringConvertible {
    var description: String
}

/// What callbacks were given, by the command's number.
final class Outcomes: Sendable {
    private let results: Mutex<[[Result<RedisReply, RedisError>]]>

    init(_ count: Int) {
        results = Mutex(Array(repeating: [], count: count))
    }

    /// A callback for command `index`.
    func callback(_ index: Int) -> @Sendable (Result<RedisReply, RedisError>) -> Void {
        { result in self.results.withLock { $0[index].append(result) } }
    }

    var all: [[Result<RedisReply, RedisError>]] { results.withLock { $0 } }
    var count: Int { all.reduce(0) { $0 + $1.count } }

    var errors: [RedisError] {
        all.joined().compactMap { if case .failure(let error) = $0 { error } else { nil } }
    }
    var replies: [RedisReply] {
        all.joined().compactMap { try? $0.get() }
    }
}
