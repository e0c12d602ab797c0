import Foundation
import LocalDeployment
import RedisClient
import SessionStore

/// Causes faults in a local deployment, and repairs them.
struct FaultInjector: Sendable {
    let system: LocalSystem

    /// Causes a fault, and returns when it is over and every stopped process runs again.
    ///
    /// - Returns: What happened, for the report.
    func inject(_ kind: FaultKind, choice: Int) async throws -> String {
        let replica = system.replicas[choice % system.replicas.count]
        switch kind {
        case .kill:
            replica.process.signal(SIGKILL)
            _ = try await replica.process.ended()
            try await Task.sleep(for: .seconds(1))
            try replica.start()
            try await replica.becomesReady()
            return "killed \(replica.name) and restarted it"
        case .pause:
            let pause = system.lease * 1.5 + .milliseconds(choice)
            replica.process.signal(SIGSTOP)
            try await Task.sleep(for: pause)
            replica.process.signal(SIGCONT)
            return "paused \(replica.name) for \(pause.milliseconds) ms"
        case .terminate:
            replica.process.signal(SIGTERM)
            let code = try await replica.process.ended()
            try replica.start()
            try await replica.becomesReady()
            guard code == 0 else { throw NeverHappened(description: "\(replica.name) exited with \(code) after SIGTERM") }
            return "terminated \(replica.name) and restarted it"
        case .redisKill:
            try await system.redis.killMaster(choice)
            return "killed a Redis master and restarted it"
        case .failover:
            try await system.redis.failover(choice)
            return "a replica of Redis took its master's place"
        case .clientKill:
            for master in try system.redis.masters() { try master.cli("CLIENT", "KILL", "TYPE", "normal") }
            return "closed all connections to Redis"
        case .scriptFlush:
            for master in try system.redis.masters() { try master.cli("SCRIPT", "FLUSH") }
            return "flushed Redis's scripts"
        case .redisSleep:
            // Less than the second after which sentinels and nodes replace a master.
            let seconds = Double(choice % 9 + 1) / 10
            for master in try system.redis.masters() { try master.cli("DEBUG", "SLEEP", "\(seconds)") }
            return "Redis slept for \(seconds) s"
        case .cut:
            return "cut \(replica.name) off, \(try await cut(replica.link, for: .seconds(4), choice: choice))"
        case .redisCut:
            guard let link = replica.redisLink else { return "this deployment has no such link" }
            return "cut \(replica.name) off from Redis, \(try await cut(link, for: system.lease * 1.5, choice: choice))"
        case .model:
            let moods = DrillModel.Mood.allCases.filter { $0 != .well }
            let mood = moods[choice % moods.count]
            system.model.set(mood)
            try await Task.sleep(for: .seconds(2))
            system.model.set(.well)
            return "the model was \(mood.rawValue) for 2 s"
        case .redisStall:
            let pause = system.lease * 1.5 + .milliseconds(choice)
            try await system.redis.stall(for: pause)
            return "paused all of Redis for \(pause.milliseconds) ms"
        case .clockStep:
            let step = choice % 2 == 0 ? 30 : -30
            try system.redis.clock?.set(ahead: step)
            try await Task.sleep(for: system.lease * 2)
            try system.redis.clock?.set(ahead: 0)
            return "set Redis's clock \(abs(step)) s \(step > 0 ? "ahead" : "back"), then right"
        case .longHistory:
            return try await ReadingInLoop(system: system).run(for: .seconds(4))
        case .poison:
            system.modelLink.set(.answering(Self.poison))
            try await Task.sleep(for: .seconds(2))
            system.modelLink.set(.well)
            return "the model server sent the status 000 for 2 s"
        case .viewers:
            return try await Viewers(system: system).run(count: 400, session: "viewed-\(choice)")
        }
    }

    /// A response that once crashed replicas.
    private static let poison = "HTTP/1.1 000 x\r\nContent-Length: 2\r\n\r\nhi"

    /// Cuts a link for `duration`.
    ///
    /// - Returns: How the link was cut.
    private func cut(_ link: Link, for duration: Duration, choice: Int) async throws -> String {
        let isSilent = choice % 2 == 0
        link.set(isSilent ? .silent : .cut)
        try await Task.sleep(for: duration)
        // The bytes that the link held back are lost, as with a machine that others have given up
        // and that comes back.
        if isSilent { link.set(.cut) }
        link.set(.well)
        return isSilent ? "in silence" : "with closed connections"
    }
}
