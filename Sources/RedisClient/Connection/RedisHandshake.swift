import NIOCore

/// The commands that a new connection sends before it is used, and what Redis has replied to them so far:
/// they authenticate, select the database, and ask whether Redis serves.
struct RedisHandshake: Sendable {
    /// The effect of a reply.
    enum Outcome: Sendable {
        /// More replies are outstanding.
        case incomplete
        case complete
        case refused(RedisError)
        /// The reply to ROLE names another role.
        case notMaster(RedisReply)
    }

    let commands: [RedisCommand]
    /// When Redis must have replied to all commands.
    let deadline: NIODeadline
    private let roleCheck: RoleCheck
    private var replies = 0

    init(_ configuration: RedisConfiguration, _ roleCheck: RoleCheck, deadline: NIODeadline) {
        commands = Self.commands(configuration, roleCheck)
        self.roleCheck = roleCheck
        self.deadline = deadline
    }

    private static func commands(_ configuration: RedisConfiguration, _ roleCheck: RoleCheck) -> [RedisCommand] {
        var commands: [RedisCommand] = []
        if let password = configuration.password {
            var command = RedisCommand("AUTH")
            if let username = configuration.username { command.append(username) }
            command.append(password)
            commands.append(command)
        }
        if configuration.database != 0 { commands.append(RedisCommand("SELECT", String(configuration.database))) }
        if let name = configuration.clientName { commands.append(RedisCommand("CLIENT", "SETNAME", name)) }
        // While Redis loads its files it replies -LOADING to this.
        commands.append(RedisCommand("PING"))
        // Sentinels may be late, and an old master does not know that it was replaced until they
        // tell it.
        if roleCheck != .none { commands.append(RedisCommand("ROLE")) }
        return commands
    }

    /// Judges the next reply.
    mutating func received(_ result: Result<RedisReply, RedisError>) -> Outcome {
        guard replies < commands.count else { return .complete }
        let command = commands[replies].name
        replies += 1
        switch result {
        case .success(let reply) where command == "ROLE" && reply[0]?.string != "master": return .notMaster(reply)
        case .failure(let error) where !tolerates(error, of: command): return .refused(error)
        case .success, .failure: return replies == commands.count ? .complete : .incomplete
        }
    }

    /// Returns whether the connection can be used although Redis refused `command`.
    private func tolerates(_ error: RedisError, of command: String) -> Bool {
        guard !error.mayHaveBeenApplied else { return false }
        return switch command {
        // Not every user may name its connection, not every proxy knows the command, and nothing
        // depends on it.
        case "CLIENT": true
        // A Redis that cannot write its disk refuses even PING. It serves reads.
        case "PING": error.code == .writesRefused
        case "ROLE": roleCheck == .notReplica
        default: false
        }
    }
}
