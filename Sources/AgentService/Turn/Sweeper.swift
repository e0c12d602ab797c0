public import Logging
public import ServiceLifecycle
import SessionStore

/// Looks for steps whose replica is lost, and has them taken over (I6). Every replica has one; which of them comes first does not matter.
public final class Sweeper: Service {
    /// Hints per look at a bucket.
    private static let page = 128

    private let runner: TurnRunner
    private let period: Duration
    private let logger: Logger

    /// - Parameter period: About how long between two looks; with the margin of the hints it must stay well below a second.
    public init(runner: TurnRunner, period: Duration = .milliseconds(400), logger: Logger) {
        self.runner = runner
        self.period = period
        self.logger = logger
    }

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            // Replicas that were started together, or that lost the same Redis, do not look in step.
            try await Task.sleep(for: self.period * Double.random(in: 0...1))
            while !Task.isCancelled {
                await self.look()
                try await Task.sleep(for: self.period * Double.random(in: 0.75...1.25))
            }
        }
    }

    private func look() async {
        await withDiscardingTaskGroup { group in
            for bucket in 0..<RedisKeys.bucketCount { group.addTask { await self.look(bucket) } }
        }
    }

    /// Looks at one bucket until nothing there is due, or nothing more can be done.
    private func look(_ bucket: Int) async {
        while !Task.isCancelled, !runner.supervisor.isDraining {
            do throws(StoreError) {
                let (orphans, hasMore) = try await runner.store.orphans(bucket: bucket, limit: Self.page)
                var takenCount = 0
                for orphan in orphans where await take(orphan) { takenCount += 1 }
                if !hasMore || takenCount < orphans.count { return }
            } catch {
                logger.debug("a look for lost steps failed", metadata: ["error": "\(error)"])
                return
            }
        }
    }

    private func take(_ orphan: Orphan) async -> Bool {
        do throws(TurnError) {
            return try await runner.takeOver(orphan.session, step: orphan.step)
        } catch {
            // A replica that drains, or runs as much as it may, leaves it to others.
            if case .store(let error) = error {
                logger.warning("a lost step could not be taken over", metadata: ["session": "\(orphan.session)", "error": "\(error)"])
                runner.store.postpone(orphan.session, for: error.code == .damaged ? RedisSessionStore.damagePause : nil)
            }
            return false
        }
    }
}
