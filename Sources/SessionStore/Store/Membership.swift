public import Logging
public import ServiceLifecycle

/// Keeps this replica in `agent:replicas` while it lives, and the deployment's layout up to date.
public final class Membership: Service {
    /// The deployment has a layout that this build cannot read.
    public struct NewerLayout: Error, CustomStringConvertible {
        /// The layout of the deployment.
        public var layout: Int

        public var description: String {
            "the sessions in this Redis have layout \(layout), and this build knows \(RedisLayout.known): a later build has to run on it"
        }
    }

    /// How often a replica reads the layout.
    private static let layoutPeriod = Duration.seconds(30)

    private let store: RedisSessionStore
    private let owns: Bool
    private let logger: Logger

    /// - Parameters:
    ///   - store: The sessions.
    ///   - owns: Whether Redis belongs to this server alone. Its layout is raised in this case.
    ///   - logger: For a layout that this build does not know.
    public init(store: RedisSessionStore, owns: Bool, logger: Logger) {
        self.store = store
        self.owns = owns
        self.logger = logger
    }

    /// Joins if Redis can be asked now; otherwise ``run()`` does it later.
    ///
    /// - Throws: ``NewerLayout``
    public func join() async throws(NewerLayout) {
        _ = try await refresh()
    }

    /// Renews this replica's entry in the list of replicas until the service group shuts down.
    public func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                var refreshed: ContinuousClock.Instant?
                while true {
                    if let time = refreshed, ContinuousClock.now - time < Self.layoutPeriod {
                        await self.announce()
                    } else if try await self.refresh() {
                        refreshed = .now
                    }
                    try await Task.sleep(for: self.store.configuration.lease / 3)
                }
            }
        } catch is CancellationError {}
        store.leave()
    }

    /// Reads the deployment's layout and announces this replica.
    ///
    /// - Returns: Whether Redis could be asked.
    private func refresh() async throws(NewerLayout) -> Bool {
        let before = store.layout.current
        let layout: Int
        do throws(StoreError) {
            layout = try await store.establishLayout(owns: owns)
        } catch {
            logger.debug("the layout of the sessions could not be read", metadata: ["error": "\(error)"])
            return false
        }
        guard layout <= RedisLayout.known else { throw NewerLayout(layout: layout) }
        if layout != before { logger.notice("sessions are written in another layout", metadata: ["layout": "\(layout)"]) }
        await announce()
        return true
    }

    private func announce() async {
        do throws(StoreError) {
            try await store.announce()
        } catch {
            logger.debug("the replica could not be announced", metadata: ["error": "\(error)"])
        }
    }
}
