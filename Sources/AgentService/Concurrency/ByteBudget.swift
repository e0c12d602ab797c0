import DequeModule
package import LanguageModels
import Locks

/// A bound on the bytes that are held for one purpose at the same time. Who wants some waits until there is room, in the order of asking.
///
/// More than the whole bound is let in when nothing else is held: it would wait for ever.
package final class ByteBudget: Sendable {
    private struct State {
        var used = 0
        var waiting: Deque<Waiter> = []
        var released = 0
    }

    /// Somebody who waits for bytes.
    final class Waiter: Sendable {
        fileprivate let bytes: Int
        fileprivate let outcome = Guarded<Outcome>(.open(nil))

        fileprivate enum Outcome {
            case open(CheckedContinuation<ByteShare?, Never>?)
            case over(ByteShare?)
        }

        fileprivate init(bytes: Int) {
            self.bytes = bytes
        }
    }

    package let limit: Int
    private let state = Guarded(State())

    package init(limit: Int) {
        self.limit = limit
    }

    package var used: Int { state.withLock { $0.used } }
    /// Whether somebody waits.
    var isCrowded: Bool { waitingCount > 0 }
    var waitingCount: Int { state.withLock { $0.waiting.count } }
    /// How many bytes were given back since the beginning.
    package var released: Int { state.withLock { $0.released } }

    /// Takes bytes at once; nil where there is no room, or others wait.
    package func take(_ bytes: Int) -> ByteShare? {
        let isTaken = state.withLock { state in
            guard state.waiting.isEmpty, state.used + bytes <= limit || state.used == 0 else { return false }
            state.used += bytes
            return true
        }
        return isTaken ? ByteShare(of: self, bytes: bytes) : nil
    }

    /// Waits for bytes, at most until the deadline.
    ///
    /// - Parameter onWait: Is given what ends the wait, where there is one.
    /// - Returns: Nil at the deadline, and where the wait was ended.
    func take(
        _ bytes: Int, until deadline: ContinuousClock.Instant, onWait: (_ stop: @escaping @Sendable () -> Void) -> Void = { _ in }
    ) async -> ByteShare? {
        if let share = take(bytes) { return share }
        let waiter = Waiter(bytes: bytes)
        state.withLock { $0.waiting.append(waiter) }
        // Somebody may have given bytes back since.
        admit()
        onWait { self.leave(waiter) }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                self.leave(waiter)
            }
            let share = await withTaskCancellationHandler {
                await withCheckedContinuation { waiter.wait($0) }
            } onCancel: {
                self.leave(waiter)
            }
            group.cancelAll()
            return share
        }
    }

    /// - Parameter bytes: Negative to give some back.
    fileprivate func add(_ bytes: Int) {
        state.withLock { state in
            state.used += bytes
            if bytes < 0 { state.released += -bytes }
        }
        if bytes < 0 { admit() }
    }

    /// Lets in those who have waited longest.
    private func admit() {
        while true {
            let next = state.withLock { state -> Waiter? in
                guard let first = state.waiting.first, state.used + first.bytes <= limit || state.used == 0 else { return nil }
                state.used += first.bytes
                return state.waiting.removeFirst()
            }
            guard let next else { return }
            // Whoever has left meanwhile lets go of it at once.
            next.end(with: ByteShare(of: self, bytes: next.bytes))
        }
    }

    private func leave(_ waiter: Waiter) {
        state.withLock { $0.waiting.removeAll { $0 === waiter } }
        waiter.end(with: nil)
        // Those behind a large one may have room.
        admit()
    }
}

extension ByteBudget.Waiter {
    fileprivate func wait(_ continuation: CheckedContinuation<ByteShare?, Never>) {
        let share = outcome.withLock { outcome -> ByteShare?? in
            guard case .over(let share) = outcome else {
                outcome = .open(continuation)
                return nil
            }
            outcome = .over(nil)
            return .some(share)
        }
        if let share { continuation.resume(returning: share) }
    }

    fileprivate func end(with share: ByteShare?) {
        let continuation = outcome.withLock { outcome -> CheckedContinuation<ByteShare?, Never>? in
            guard case .open(let continuation) = outcome else { return nil }
            outcome = .over(continuation == nil ? share : nil)
            return continuation
        }
        continuation?.resume(returning: share)
    }
}

/// Bytes of a ``ByteBudget``. They count as held until this is let go of, together with what it counts.
package final class ByteShare: HeldBytes, Sendable {
    private let budget: ByteBudget
    private let count: Guarded<Int>

    fileprivate init(of budget: ByteBudget, bytes: Int) {
        self.budget = budget
        count = Guarded(bytes)
    }

    deinit {
        budget.add(-count.withLock { $0 })
    }

    package var bytes: Int { count.withLock { $0 } }

    /// Counts as many bytes from now on. More than there were are counted without a wait, beyond the bound if need be: they are there already.
    package func resize(to bytes: Int) {
        let change = count.withLock { count in
            defer { count = bytes }
            return bytes - count
        }
        if change != 0 { budget.add(change) }
    }

    package func add(_ bytes: Int) {
        count.withLock { $0 += bytes }
        budget.add(bytes)
    }
}
