import Foundation
import LocalDeployment
import RedisClient
import SessionStore

/// Does to a local deployment what the schedule says, and mends it again.
struct FaultInjector: Sendable {
    let system: LocalSystem

    /// Returns when the fault is over and everything that was stopped runs again.
    ///
    /// - Returns: What was done, for the report.
    func inject(_ kind: FaultKind, choice: Int) async throws -> String {
        let replica = system.replicas[choice % system.replicas.count]
        switch kind {
        case .kill:
            replica.process.signal(SIGKILL)
            _ = try await replica.process.ended()
            try await Task.sleep(for: .seconds(1))
            try replica.start()
            try await replica.becomesReady()
            return "kill -9 of \(replica.name)"
        case .pause:
            let pause = system.lease * 1.5 + .milliseconds(choice)
            replica.process.signal(SIGSTOP)
            try await Task.sleep(for: pause)
            replica.process.signal(SIGCONT)
            return "\(replica.name) stopped for \(pause.milliseconds) ms"
        case .terminate:
            replica.process.signal(SIGTERM)
            let code = try await replica.process.ended()
            try replica.start()
            try await replica.becomesReady()
            guard code == 0 else { throw NeverHappened(description: "\(replica.name) ended with \(code) after SIGTERM") }
            return "SIGTERM of \(replica.name)"
        case .redisKill:
            try await system.redis.killMaster(choice)
            return "kill -9 of a Redis master"
        case .failover:
            try await system.redis.failover(choice)
            return "failover of a Redis master"
        case .clientKill:
            for master in try system.redis.masters() { try master.cli("CLIENT", "KILL", "TYPE", "normal") }
            return "all connections to Redis closed"
        case .scriptFlush:
            for master in try system.redis.masters() { try master.cli("SCRIPT", "FLUSH") }
            return "SCRIPT FLUSH"
        case .redisSleep:
            // Sentinels and nodes give a master a second.
            let seconds = Double(choice % 9 + 1) / 10
            for master in try system.redis.masters() { try master.cli("DEBUG", "SLEEP", "\(seconds)") }
            return "DEBUG SLEEP \(seconds)"
        case .cut:
            return "\(replica.name) cut off, \(try await cut(replica.link, for: .seconds(4), choice: choice))"
        case .redisCut:
            guard let link = replica.redisLink else { return "nothing" }
            return "\(replica.name) cut off from Redis, \(try await cut(link, for: system.lease * 1.5, choice: choice))"
        case .model:
            let moods = DrillModel.Mood.allCases.filter { $0 != .well }
            let mood = moods[choice % moods.count]
            system.model.set(mood)
            try await Task.sleep(for: .seconds(2))
            system.model.set(.well)
            return "the model is \(mood.rawValue)"
        case .redisStall:
            let pause = system.lease * 1.5 + .milliseconds(choice)
            try await system.redis.stall(for: pause)
            return "all of Redis stood still for \(pause.milliseconds) ms"
        case .clockStep:
            let step = choice % 2 == 0 ? 30 : -30
            try system.redis.clock?.set(ahead: step)
            try await Task.sleep(for: system.lease * 2)
            try system.redis.clock?.set(ahead: 0)
            return "Redis's clock \(step) s ahead, and back"
        case .longHistory:
            return try await ReadingInLoop(system: system).run(for: .seconds(4))
        case .poison:
            system.modelLink.set(.answering(Self.poison))
            try await Task.sleep(for: .seconds(2))
            system.modelLink.set(.well)
            return "the model's server answers with the status 000"
        case .viewers:
            return try await Viewers(system: system).run(count: 400, session: "viewed-\(choice)")
        }
    }

    /// An answer that ended replicas once.
    private static let poison = "HTTP/1.1 000 x\r\nContent-Length: 2\r\n\r\nhi"

    /// - Returns: How.
    private func cut(_ link: Link, for duration: Duration, choice: Int) async throws -> String {
        let isSilent = choice % 2 == 0
        link.set(isSilent ? .silent : .cut)
        try await Task.sleep(for: duration)
        // What was held back while it was silent is lost, as it is when a machine comes back that was given up.
        if isSilent { link.set(.cut) }
        link.set(.well)
        return isSilent ? "in silence" : "with closed connections"
    }
}
