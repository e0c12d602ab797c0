/// What becomes of commands that a node of a Cluster has not executed. A value: it takes the answers
/// and says what to do.
struct ClusterRedirects: Sendable {
    typealias Address = RedisConfiguration.Address

    enum Action: Sendable, Equatable {
        /// The slot is at this node from now on.
        case move(slot: Int, to: Address)
        /// The slot is on its way to this node, which has the keys already: this once, and with
        /// `ASKING`.
        case ask(Address)
        /// The slot's keys are on both sides. Nothing of the answers is used, and the caller is
        /// told to try again.
        case wait(mayHaveBeenApplied: Bool)
        /// The answers are the caller's.
        case giveUp
    }

    /// A slot is hardly moved twice within one command. Nodes that contradict each other must not keep a command for ever.
    static let limit = 5
    /// Commands without a key, which every node answers: they do not tell where the keys are.
    private static let keyless: Set<String> = ["MULTI", "EXEC", "TIME", "WAIT"]
    private var count = 0

    /// Decides about commands of one slot that were sent together. A node redirects each of them for its
    /// own key: while a slot moves, its keys move one after another. Where one node has answered for
    /// some, and another is to answer for the rest, the answers do not belong together: what has just
    /// moved would look as if it did not exist.
    ///
    /// - Parameter asked: The node that has answered.
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

    /// The commands with `ASKING` before each, since it holds for one command only. A transaction is one.
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

    /// The replies without those to `ASKING`.
    static func withoutAsking<Reply>(_ replies: [Reply], to commands: [RedisCommand]) -> [Reply] {
        zip(asking(commands), replies).filter { $0.0.name != "ASKING" }.map(\.1)
    }

    /// The error that says where the commands go next: the latest word of the node, but that the
    /// slot has moved for good is later than that it is on its way.
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
    /// Whether a node has named another one, and has not executed the command.
    fileprivate var isRedirection: Bool {
        switch code {
        case .moved, .ask: true
        default: false
        }
    }

    /// For a caller whose commands have keys on two nodes.
    static func apart(mayHaveBeenApplied: Bool) -> RedisError {
        RedisError(.tryAgain, "the keys of these commands are on two nodes: their slot is moving", mayHaveBeenApplied: mayHaveBeenApplied)
    }
}
