import NIOCore
import SessionStore
import Synchronization

/// The clock of all running steps' logs on this replica: it ticks on each event loop that has some.
///
/// What is due at a tick goes to Redis in one write per connection, since it is handed over on the connection's own event loop: Redis reads, executes and
/// syncs it as one. Where many steps run, it looks half as often: an entry costs Redis much the same with three tokens or six. And it takes them in parts, one
/// after the other, since a loop that writes a hundred logs reads no socket meanwhile.
public final class LogFlushTimer: Sendable {
    /// Logs of one event loop that are written at a time, about.
    private static let partSize = 32
    private static let maximumParts = 6

    /// The logs of each event loop. An entry is there as long as its clock ticks.
    ///
    /// By the log itself: a session that was deleted and begun anew has a second step of the same name.
    private let lanes = Mutex<[ObjectIdentifier: [ObjectIdentifier: EventLogWriter]]>([:])
    private let tick: TimeAmount
    private let manySteps: Int

    /// - Parameters:
    ///   - tick: The time between two looks.
    ///   - manySteps: As many running steps on this replica double it.
    public init(tick: Duration = .milliseconds(30), manySteps: Int = 32) {
        self.tick = TimeAmount(tick)
        self.manySteps = manySteps
    }

    /// Logs that the clock ticks for.
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

    /// Has the logs of a step ask at once whether they still hold the lease; nothing where this replica does not run it.
    func check(_ name: StepName) {
        let logs = lanes.withLock { lanes in lanes.values.flatMap { $0.values.filter { $0.name == name } } }
        for log in logs { log.check() }
    }

    /// - Parameter turn: Counts the looks. They come late on a loop that is busy, and yet each part has its turn.
    private func startTimer(on eventLoop: any EventLoop, turn: Int) {
        let logs = lanes.withLock { $0[ObjectIdentifier(eventLoop)]?.count ?? 0 }
        let parts = min(max(1, logs / Self.partSize), Self.maximumParts)
        eventLoop.scheduleTask(deadline: nextTick(after: .now(), parts: parts)) {
            self.ticked(on: eventLoop, turn: turn, parts: parts)
        }
    }

    /// On a grid that all loops, and all replicas of one machine, have in common: Redis is woken once for all of them.
    func nextTick(after now: NIODeadline, parts: Int = 1) -> NIODeadline {
        let round = UInt64(max(1, tick.nanoseconds)) * (count >= manySteps ? 2 : 1)
        let tick = max(1, round / UInt64(parts))
        return .uptimeNanoseconds((now.uptimeNanoseconds / tick + 1) * tick)
    }

    private func ticked(on eventLoop: any EventLoop, turn: Int, parts: Int) {
        let logs = lanes.withLock { lanes in
            let logs = lanes[ObjectIdentifier(eventLoop)] ?? [:]
            // The clock stands still until there is a log again.
            if logs.isEmpty { lanes[ObjectIdentifier(eventLoop)] = nil }
            return logs
        }
        guard !logs.isEmpty else { return }
        startTimer(on: eventLoop, turn: turn + 1)
        let now = ContinuousClock.now
        for log in logs.values where log.part % parts == turn % parts { log.tick(now: now) }
    }
}
