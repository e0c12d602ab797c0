import Locks
import NIOCore
import SessionStore

/// The clock of all running steps' logs on this replica. It ticks on each event loop that has logs.
///
/// The batches that are due at a tick reach Redis in one write per connection, since the tick runs
/// on the connection's own event loop: Redis reads, executes and syncs them as one. While many
/// steps run, the clock ticks half as often: an entry with six deltas costs Redis about as much as
/// one with three. It writes the logs in parts, one part a tick, since a loop that writes a hundred
/// logs reads no socket meanwhile.
public final class LogFlushTimer: Sendable {
    /// About how many logs of one event loop are written at a tick.
    private static let partSize = 32
    private static let maximumParts = 6

    /// The logs of each event loop. An entry exists as long as its clock ticks.
    ///
    /// The key is the log itself: a session that was deleted and begun again has a second step of
    /// the same name.
    private let lanes = Guarded<[ObjectIdentifier: [ObjectIdentifier: EventLogWriter]]>([:])
    private let tick: TimeAmount
    private let manySteps: Int

    /// - Parameters:
    ///   - tick: The time between two ticks.
    ///   - manySteps: The number of running steps from which the time doubles.
    public init(tick: Duration = .milliseconds(30), manySteps: Int = 32) {
        self.tick = TimeAmount(tick)
        self.manySteps = manySteps
    }

    /// The number of logs that the clock ticks for.
    var count: Int { lanes.withLock { $0.values.reduce(0) { $0 + $1.count } } }

    func add(_ log: EventLogWriter) {
        let isFirst = lanes.withLock { lanes in
            let isFirst = lanes[ObjectIdentifier(log.eventLoop)] == nil
            lanes[ObjectIdentifier(log.eventLoop), default: [:]][ObjectIdentifier(log)] = log
            return isFirst
        }
        if isFirst { startTimer(on: log.eventLoop, turn: 0) }
    }

    func remove(_ log: EventLogWriter) {
        lanes.withLock { lanes in
            lanes[ObjectIdentifier(log.eventLoop)]?[ObjectIdentifier(log)] = nil
        }
    }

    /// Makes the logs of a step ask at once whether they still hold the lease; does nothing if this
    /// replica does not run it.
    func check(_ name: StepName) {
        let logs = lanes.withLock { lanes in lanes.values.flatMap { $0.values.filter { $0.name == name } } }
        for log in logs { log.check() }
    }

    /// - Parameter turn: The number of the tick. It selects the part of the logs that is ticked, so
    ///   that no part is left out when a busy loop delays ticks.
    private func startTimer(on eventLoop: any EventLoop, turn: Int) {
        let logs = lanes.withLock { $0[ObjectIdentifier(eventLoop)]?.count ?? 0 }
        let parts = min(max(1, logs / Self.partSize), Self.maximumParts)
        eventLoop.scheduleTask(deadline: nextTick(after: .now(), parts: parts)) {
            self.ticked(on: eventLoop, turn: turn, parts: parts)
        }
    }

    /// Returns the next tick of a grid that all loops, and all replicas of one machine, share: one
    /// wake-up of Redis serves all.
    func nextTick(after now: NIODeadline, parts: Int = 1) -> NIODeadline {
        let round = UInt64(max(1, tick.nanoseconds)) * (count >= manySteps ? 2 : 1)
        let tick = max(1, round / UInt64(parts))
        return .uptimeNanoseconds((now.uptimeNanoseconds / tick + 1) * tick)
    }

    private func ticked(on eventLoop: any EventLoop, turn: Int, parts: Int) {
        let logs = lanes.withLock { lanes in
            let logs = lanes[ObjectIdentifier(eventLoop)] ?? [:]
            // The clock stops until the loop has a log again.
            if logs.isEmpty { lanes[ObjectIdentifier(eventLoop)] = nil }
            return logs
        }
        guard !logs.isEmpty else { return }
        startTimer(on: eventLoop, turn: turn + 1)
        let now = ContinuousClock.now
        for log in logs.values where log.part % parts == turn % parts { log.tick(now: now) }
    }
}
