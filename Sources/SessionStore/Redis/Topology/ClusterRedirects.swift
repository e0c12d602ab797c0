/// What becomes of commands that a node of a Cluster has not executed. A value: it is told of the error and says what to do.
struct ClusterRedirects: Sendable {
    typealias Address = RedisConfiguration.Address

    enum Action: Sendable, Equatable {
        /// The slot is at this node from now on.
        case move(slot: Int, to: Address)
        /// The slot is on its way to this node, which has the key already: this once, and with `ASKING`.
        case ask(Address)
        /// The caller is told of the error.
        case giveUp
    }

    /// A slot is hardly moved twice within one command. Nodes that contradict each other must not keep a command for ever.
    static let limit = 5
    private var count = 0

    /// - Parameter asked: The node that has answered.
    mutating func next(after error: RedisError, asked: Address) -> Action {
        guard count < Self.limit else { return .giveUp }
        count += 1
        switch error.code {
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

    /// The error that decides where the commands go next: a node that redirects one of them redirects those that follow.
    static func redirection(in results: [Result<RedisReply, RedisError>]) -> RedisError? {
        for case .failure(let error) in results {
            switch error.code {
            case .moved, .ask: return error
            default: continue
            }
        }
        return nil
    }
}
