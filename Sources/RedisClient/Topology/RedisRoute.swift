/// The route for commands with one key, to the server that has the key at that time.
///
/// On one server the route is a connection. On a Cluster it follows redirections, and Redis may
/// then execute each command of a pipeline twice. Commands that are sent over a route must bear
/// repetition.
public struct RedisRoute: Sendable {
    enum Way: Sendable {
        case connection(RedisConnection)
        case cluster(ClusterRoute)
    }

    let way: Way

    /// The connection for the next command, as far as the pool knows.
    public var connection: RedisConnection {
        switch way {
        case .connection(let connection): connection
        case .cluster(let route): route.connection
        }
    }

    /// Sends a command and waits for its reply.
    ///
    /// - Throws: ``RedisError``, for an error reply too.
    public func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        guard let result = try await send(pipeline: [command]).first else { throw RedisError.neverSent }
        return try result.get()
    }

    /// Sends commands with keys of the route's slot in one write, and waits for all replies.
    ///
    /// - Returns: One result per command, in order. A command's own failure is in its result.
    /// - Throws: ``RedisError`` when the caller is cancelled.
    public func send(pipeline: [RedisCommand]) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        switch way {
        case .connection(let connection): try await connection.send(pipeline: pipeline)
        case .cluster(let route): try await route.send(pipeline: pipeline)
        }
    }

    /// Calls a script and waits for its reply.
    ///
    /// - Throws: ``RedisError``, for an error reply too.
    public func evaluate(_ call: RedisScriptCall) async throws(RedisError) -> RedisReply {
        switch way {
        case .connection(let connection): return try await connection.evaluate(call)
        case .cluster(let route):
            guard let result = try await route.evaluate(call, following: []).first else { throw RedisError.neverSent }
            return try result.get()
        }
    }

    /// Calls a script, with `following` commands in the same write, and waits for all replies.
    ///
    /// - Returns: The script's result, then one for each command.
    package func evaluate(
        _ call: RedisScriptCall, following: [RedisCommand]
    ) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        switch way {
        case .connection(let connection): try await connection.evaluate(call, following: following)
        case .cluster(let route): try await route.evaluate(call, following: following)
        }
    }

    /// Sends a command. Calls `completion` once, on an event loop.
    public func submit(_ command: RedisCommand, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        switch way {
        case .connection(let connection): connection.submit(command, completion: completion)
        case .cluster(let route): route.submit(command, completion: completion)
        }
    }

    /// Calls a script. Calls `completion` once, on an event loop.
    public func submitEvaluate(_ call: RedisScriptCall, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        switch way {
        case .connection(let connection): connection.submitEvaluate(call, completion: completion)
        case .cluster(let route): route.submitEvaluate(call, completion: completion)
        }
    }
}
