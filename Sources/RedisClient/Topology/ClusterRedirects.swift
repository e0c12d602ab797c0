/// The next action for commands that a node of a Cluster did not execute. A value: it takes the
/// replies and returns an action.
struct ClusterRedirects: Sendable {
    typealias Address = RedisConfiguration.Address

    enum Action: Sendable, Equatable {
        /// The slot has moved to this node. The commands go there.
        case move(slot: Int, to: Address)
        /// The slot is moving to this node, which already has the keys. The commands go there once,
        /// behind `ASKING`.
        case ask(Address)
        /// The slot's keys are on both nodes. The caller discards all replies and retries.
        case wait(mayHaveBeenApplied: Bool)
        /// The caller receives the replies.
        case giveUp
    }

    /// The number of redirections of one command. A slot hardly moves twice meanwhile, and nodes
    /// that contradict each other must not keep a command forever.
    static let limit = 5
    /// Commands without a key, which every node executes: their replies do not show where the keys
    /// are.
    private static let keyless: Set<String> = ["MULTI", "EXEC", "TIME", "WAIT"]
    private var count = 0

    /// Decides about commands of one slot that were sent together.
    ///
    /// A node redirects each command for its own key, and while a slot moves, its keys move one
    /// after another. If one node executed some of the commands and another one is to execute the
    /// rest, the replies do not belong together: a key that has just moved would seem not to exist.
    ///
    /// - Parameter asked: The node that replied.
    mutating func next(
        after results: [Result<RedisReply, RedisError>], to commands: [RedisCommand], asked: Address
    ) -> Action {
        guard let redirection = Self.redirection(in: results), count < Self.limit else { return .giveUp }
        count += 1
        var isAnswered = false
        var mayHaveBeenApplied = false
        for (command, result) in zip(commands, results) where !Self.keyless.contains(command.name) {
            switch result {
            case .success: (isAnswered, mayHaveBeenApplied) = (true, true)
            case .failure(let error) where error.isRedirection: break
            case .failure(let error): (isAnswered, mayHaveBeenApplied) = (true, mayHaveBeenApplied || error.mayHaveBeenApplied)
            }
        }
        guard !isAnswered else { return .wait(mayHaveBeenApplied: mayHaveBeenApplied) }
        switch redirection.code {
        case .moved(let slot, let host, let port): return .move(slot: slot, to: ClusterSlots.address(host: host, port: port, asked: asked))
        case .ask(_, let host, let port): return .ask(ClusterSlots.address(host: host, port: port, asked: asked))
        default: return .giveUp
        }
    }

    /// Returns the commands with `ASKING` before each, since it holds for one command only. A
    /// transaction counts as one command.
    static func asking(_ commands: [RedisCommand]) -> [RedisCommand] {
        var asking: [RedisCommand] = []
        asking.reserveCapacity(2 * commands.count)
        var isInTransaction = false
        for command in commands {
            if !isInTransaction { asking.append(RedisCommand("ASKING")) }
            asking.append(command)
            switch command.name {
            case "MULTI": isInTransaction = true
            case "EXEC": isInTransaction = false
            default: break
            }
        }
        return asking
    }

    /// Returns the replies without those to `ASKING`.
    static func withoutAsking<Reply>(_ replies: [Reply], to commands: [RedisCommand]) -> [Reply] {
        zip(asking(commands), replies).filter { $0.0.name != "ASKING" }.map(\.1)
    }

    /// The error that names the next node: the latest one, except that `MOVED` outranks `ASK`.
    static func redirection(in results: [Result<RedisReply, RedisError>]) -> RedisError? {
        var last: RedisError?
        for case .failure(let error) in results where error.isRedirection {
            if case .moved = error.code { return error }
            last = error
        }
        return last
    }
}

extension RedisError {
    /// Whether a node named another one and did not execute the command.
    fileprivate var isRedirection: Bool {
        switch code {
        case .moved, .ask: true
        default: false
        }
    }

    /// The error for a caller whose commands have keys on two nodes.
    static func apart(mayHaveBeenApplied: Bool) -> RedisError {
        RedisError(.tryAgain, "the keys of these commands are on two nodes: their slot is moving", mayHaveBeenApplied: mayHaveBeenApplied)
    }
}
