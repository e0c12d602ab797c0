/// What a new connection sends before it is used, and what of it may be refused.
enum RedisHandshake {
    static func commands(_ configuration: RedisConfiguration, _ roleCheck: RoleCheck) -> [RedisCommand] {
        var commands: [RedisCommand] = []
        if let password = configuration.password {
            var command = RedisCommand("AUTH")
            if let username = configuration.username { command.append(username) }
            command.append(password)
            commands.append(command)
        }
        if configuration.database != 0 { commands.append(RedisCommand("SELECT", String(configuration.database))) }
        if let name = configuration.clientName { commands.append(RedisCommand("CLIENT", "SETNAME", name)) }
        // While Redis reads its files it answers this with -LOADING.
        commands.append(RedisCommand("PING"))
        // Sentinels may be late, and an old master does not know that it was replaced until they
        // tell it.
        if roleCheck != .none { commands.append(RedisCommand("ROLE")) }
        return commands
    }

    /// Whether a connection can be used although `command` was refused.
    static func bears(_ error: RedisError, of command: String, _ roleCheck: RoleCheck) -> Bool {
        guard !error.mayHaveBeenApplied else { return false }
        return switch command {
        // Not every user may name its connection, not every proxy knows the command, and nothing
        // depends on it.
        case "CLIENT": true
        // A Redis that cannot write its disk refuses even this. It is there, and can be read from.
        case "PING": error.code == .writesRefused
        case "ROLE": roleCheck == .notReplica
        default: false
        }
    }
}
