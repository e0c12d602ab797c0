public import Logging
import NIOCore
import NIOPosix
public import RedisClient

extension RedisConnection {
    /// Opens a connection with long deadlines, so that only a shortened deadline can pass on a busy
    /// machine.
    public static func open(
        _ configuration: RedisConfiguration, logger: Logger = .quiet, _ change: (inout RedisConfiguration) -> Void = { _ in }
    ) -> RedisConnection {
        var configuration = configuration
        configuration.commandTimeout = .seconds(30)
        configuration.connectTimeout = .seconds(10)
        configuration.clientName = "tests"
        configuration.reconnectBase = .milliseconds(5)
        configuration.reconnectLimit = .milliseconds(50)
        change(&configuration)
        let connection = RedisConnection(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.any(), logger: logger)
        connection.start()
        return connection
    }

    /// Returns the connection when it is ready.
    public func ready() async throws -> RedisConnection {
        try await eventually("the connection is ready") { isReady }
        return self
    }

    public func echo(_ text: String) async throws -> String? { try await send(RedisCommand("ECHO", text)).string }

    /// Repeats the call until it succeeds, for tests whose short timeouts may be too short on a
    /// busy machine.
    public func patientEcho(_ text: String) async throws -> String? {
        var reply: String?
        try await eventually("ECHO is answered") {
            guard case .success(let answer)? = try await send(pipeline: [RedisCommand("ECHO", text)]).first else { return false }
            reply = answer.string ?? "\(answer)"
            return true
        }
        return reply
    }

    /// Returns the error of a command that must fail.
    public func failure(_ words: String...) async throws -> RedisError {
        var command = RedisCommand(words[0], capacity: 64)
        command.append(contentsOf: words.dropFirst())
        guard let result = try await send(pipeline: [command]).first else { throw Unexpected(description: "a result") }
        switch result {
        case .success(let reply): throw Unexpected(description: "\(words) was to fail, and was answered with \(reply)")
        case .failure(let error): return error
        }
    }
}
