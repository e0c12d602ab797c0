public import Logging
public import ServiceLifecycle
import SessionStore

/// Finds steps whose replica is lost, and takes them over (I6). Every replica has a sweeper; it
/// does not matter which comes first.
public final class Sweeper: Service {
    /// Hints per poll of a bucket.
    private static let page = 128
    /// The polls between two that search for hints too far in the future.
    private static let farLooks = 4
    /// About the time between two searches for expired sessions in the index.
    private static let pruning = Duration.seconds(60)

    private let service: TurnService
    private let period: Duration
    private let logger: Logger

    /// - Parameters:
    ///   - service: Runs the steps that are taken over.
    ///   - period: The approximate interval of the polls. With the margin of the hints it must stay
    ///     well below a second.
    ///   - logger: For failures of Redis.
    public init(service: TurnService, period: Duration = .milliseconds(400), logger: Logger) {
        self.service = service
        self.period = period
        self.logger = logger
    }

    /// Takes over lost steps until the service group shuts down.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.beats() }
                group.addTask { try await self.looks() }
                try await group.waitForAll()
            }
        }
    }

    /// Sends Redis commands whose only purpose is to notice its silence.
    private func beats() async throws {
        while !Task.isCancelled {
            service.store.beat()
            try await Task.sleep(for: service.store.beatPeriod)
        }
    }

    private func looks() async throws {
        // Replicas that started together, or that lost the same Redis, do not poll at the same
        // time.
        try await Task.sleep(for: period * Double.random(in: 0...1))
        let rounds = max(RedisKeyspace.bucketCount, Int(Self.pruning / period))
        var round = Int.random(in: 0..<rounds)
        while !Task.isCancelled {
            await look(round)
            round = (round + 1) % rounds
            try await Task.sleep(for: period * Double.random(in: 0.75...1.25))
        }
    }

    /// - Parameter round: Counts the polls; some of them also search for what is rare.
    private func look(_ round: Int) async {
        let looksFar = round % Self.farLooks == 0 || service.store.clockWasSetBack
        await withDiscardingTaskGroup { group in
            group.addTask { await self.erase() }
            for bucket in 0..<RedisKeyspace.bucketCount {
                group.addTask {
                    await self.look(inBucket: bucket)
                    if looksFar { await self.lookFar(bucket) }
                    if round == bucket { await self.prune(bucket) }
                }
            }
        }
    }

    private func lookFar(_ bucket: Int) async {
        guard !service.scheduler.isDraining else { return }
        do throws(StoreError) {
            for orphan in try await service.store.farOrphans(bucket: bucket) { _ = await take(orphan) }
        } catch {
            logger.debug("a look for hints in the future failed", metadata: ["error": "\(error)"])
        }
    }

    private func erase() async {
        guard !service.scheduler.isDraining else { return }
        do throws(StoreError) {
            try await service.store.performErasures()
        } catch {
            logger.debug("an erasure failed, and will be tried again", metadata: ["error": "\(error)"])
        }
    }

    private func prune(_ bucket: Int) async {
        do throws(StoreError) {
            try await service.store.prune(bucket: bucket)
        } catch {
            logger.debug("a look for expired sessions failed", metadata: ["error": "\(error)"])
        }
    }

    /// Polls one bucket until no hint in it is due, or until this replica can take over no more
    /// steps.
    private func look(inBucket bucket: Int) async {
        while !Task.isCancelled, !service.scheduler.isDraining {
            do throws(StoreError) {
                let (orphans, hasMore) = try await service.store.orphans(bucket: bucket, limit: Self.page)
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
            return try await service.takeOver(orphan.session, step: orphan.step, isStale: orphan.isStale)
        } catch {
            // A replica that drains or is full leaves the step to others.
            if case .store(let error) = error {
                logger.warning("a lost step could not be taken over", metadata: ["session": "\(orphan.session)", "error": "\(error)"])
                service.store.postpone(orphan.session, for: error.code == .damaged ? RedisSessionStore.damagePause : nil)
            }
            return false
        }
    }
}
