import Locks
import NIOCore

/// Limits the lines of refused requests (``RefusalTable``): a client that guesses keys must not be
/// able to fill a disk.
final class RefusalLimit: Sendable {
    private let table = Guarded(RefusalTable())

    /// Returns whether a refusal leaves a line of its own.
    ///
    /// - Parameters:
    ///   - eventLoop: Has the timer after which `onCount` is called.
    ///   - onCount: Gets the number of an address's refusals that have left no line.
    func admits(
        _ key: RefusalTable.Key, on eventLoop: any EventLoop, now: NIODeadline = .now(),
        onCount: @escaping @Sendable (RefusalTable.Key, Int) -> Void
    ) -> Bool {
        switch table.withLock({ $0.note(key, now: now) }) {
        case .line:
            return true
        case .counted:
            return false
        case .firstCounted:
            eventLoop.scheduleTask(in: RefusalTable.period) {
                for (key, count) in self.table.withLock({ $0.takeCounts(.now()) }) { onCount(key, count) }
            }
            return false
        }
    }
}
