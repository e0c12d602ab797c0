import Locks
import RedisClient

/// Hints and leases that were written before Redis's clock was set back count by a time that is yet
/// to come. If the clock is right, these functions find only damaged sessions, and steps of
/// replicas with a longer lease.
extension RedisSessionStore {
    private static let farPage = 128
    private static let mostFarPages = 64
    /// How far hints and clocks may be off.
    private static let farSlack: Int64 = 1000

    /// Whether this replica has seen a clock of Redis go back lately.
    package var clockWasSetBack: Bool { outage.wasSetBack }

    /// Brings hints of one bucket forward that are due later than any should be. To be called once
    /// every few sweeps.
    ///
    /// - Parameter bucket: 0 ..< ``RedisKeyspace/bucketCount``.
    /// - Returns: The steps to take over.
    package func farOrphans(bucket: Int) async throws(StoreError) -> [Orphan] {
        let key = keyspace.running(bucket: bucket)
        let span = leaseMilliseconds + configuration.hintMargin.milliseconds
        let bound = try await latestTime() + span + Self.farSlack
        var orphans: [Orphan] = []
        var staying = 0
        for _ in 0..<Self.mostFarPages {
            let hints = try await hints(key, from: "(\(bound)", to: "+inf", skip: staying, limit: Self.farPage)
            var earlier: [Hint] = []
            for (hint, view) in zip(hints, try await look(hints.map(\.session))) {
                switch view.map({ farHint(hint, $0) }) {
                case .early(let due)?: earlier.append(Hint(session: hint.session, due: due))
                case .orphan(let isStale)?:
                    if let step = view?.step { orphans.append(Orphan(session: hint.session, step: step, isStale: isStale)) }
                    staying += 1
                case .stays?, nil: staying += 1
                }
            }
            try await bringForward(earlier, in: key)
            if hints.count < Self.farPage { break }
        }
        return orphans
    }

    private enum FarHint {
        /// It is due at this time.
        case early(Int64)
        case orphan(isStale: Bool)
        /// It fits its step's lease.
        case stays
    }

    private func farHint(_ hint: Hint, _ view: StepView) -> FarHint {
        if view.isOrphaned { return .orphan(isStale: false) }
        let span = leaseMilliseconds + configuration.hintMargin.milliseconds
        guard view.isRunning, hint.due <= view.leaseUntil + configuration.hintMargin.milliseconds + Self.farSlack else {
            // Not earlier: a step that is about to begin may rest on the hint.
            return .early(view.now + span)
        }
        let isSuspect = view.leaseLeft > configuration.lease && outage.wasSetBack(at: client.location(of: keys(hint.session).prefix))
        guard isSuspect else { return .stays }
        let age = unmovedLeases.withLock { $0.age(of: hint.session, step: view.step, leaseUntil: view.leaseUntil, at: .now) }
        return age > configuration.lease + configuration.hintMargin ? .orphan(isStale: true) : .stays
    }

    /// Brings hints forward, never back.
    private func bringForward(_ hints: [Hint], in key: String) async throws(StoreError) {
        guard !hints.isEmpty else { return }
        var command = RedisCommand("ZADD", capacity: key.utf8.count + 80 * hints.count)
        command.append(contentsOf: [key, "XX", "LT"])
        for hint in hints {
            command.append(integer: hint.due)
            command.append(hint.session.name)
        }
        _ = try await read(command, key: key)
    }
}
