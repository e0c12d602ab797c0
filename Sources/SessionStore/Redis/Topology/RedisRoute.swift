/// The way of commands for one key: to the server that has it, wherever that is by then.
///
/// On one server it is a connection. On a Cluster redirections are followed; every command of a pipeline may be executed twice then, so what is
/// sent must bear being repeated.
public struct RedisRoute: Sendable {
    enum Way: Sendable {
        case connection(RedisConnection)
        case cluster(ClusterRoute)
    }

    let way: Way

    /// The connection that commands go over, as far as is known.
    public var connection: RedisConnection {
        switch way {
        case .connection(let connection): connection
        case .cluster(let route): route.connection
        }
    }

    /// Sends a command and waits for its reply. An error reply is thrown.
    public func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        guard let result = try await send(pipeline: [command]).first else { throw RedisWaiter.neverSent }
        return try result.get()
    }

    /// Sends commands for the route's slot in one write and waits for all replies.
    ///
    /// - Throws: ``RedisError`` when the caller is cancelled. A command's own failure stands in the result.
    public func send(pipeline: [RedisCommand]) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        switch way {
        case .connection(let connection): try await connection.send(pipeline: pipeline)
        case .cluster(let route): try await route.send(pipeline: pipeline)
        }
    }

    /// Calls a script and waits for its reply.
    public func evaluate(_ call: RedisScriptCall) async throws(RedisError) -> RedisReply {
        switch way {
        case .connection(let connection): return try await connection.evaluate(call)
        case .cluster(let route):
            guard let result = try await route.evaluate(call, following: []).first else { throw RedisWaiter.neverSent }
            return try result.get()
        }
    }

    /// Calls a script with `following` commands in the same write, and waits for all replies: for the script's, then theirs.
    func evaluate(
        _ call: RedisScriptCall, following: [RedisCommand]
    ) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        switch way {
        case .connection(let connection): try await connection.evaluate(call, following: following)
        case .cluster(let route): try await route.evaluate(call, following: following)
        }
    }

    /// Sends a command. `completion` is called once, on an event loop.
    public func submit(_ command: RedisCommand, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        switch way {
        case .connection(let connection): connection.submit(command, completion: completion)
        case .cluster(let route): route.submit(command, completion: completion)
        }
    }

    /// Calls a script. `completion` is called once, on an event loop.
    public func submitEvaluate(_ call: RedisScriptCall, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        switch way {
        case .connection(let connection): connection.submitEvaluate(call, completion: completion)
        case .cluster(let route): route.submitEvaluate(call, completion: completion)
        }
    }
}
