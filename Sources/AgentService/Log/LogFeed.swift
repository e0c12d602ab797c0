import Locks
import SessionStore

/// Reads one session's log once for all viewers on this replica that have caught up with it.
///
/// The feed has no task of its own: one of the waiting viewers leads. The leader waits for the
/// session's wake-up, reads, and wakes the others; the first viewer that waits again leads next. A
/// leader that leaves hands over. A viewer that is behind reads on its own and delays no other.
final class LogFeed: Sendable {
    enum News {
        /// - Parameter number: The number of the read that brought the look.
        case look(LogLook, number: Int)
        /// The feed does not hold the entries that the viewer needs next.
        case readYourself
        /// The log cannot be read, or the viewer should stop.
        case nothing
    }

    /// A viewer's membership of the feed.
    final class Seat: Sendable {
        let signal: WakeSignal

        init(_ signal: WakeSignal) { self.signal = signal }
    }

    private enum Part {
        case lead
        case wait
        case news(News)
    }

    private struct State {
        var seats: [ObjectIdentifier: Seat] = [:]
        var leader: ObjectIdentifier?
        var window: LogWindow?
        /// The number of the read that started last.
        var started = 0
        var published = 0
        /// The last read has failed.
        var hasFailed = false
        var isTakingOver = false
        /// The read that was published when a viewer last asked for a takeover.
        var lastTakeOver: Int?

        mutating func part(for reader: LogReader, _ seat: Seat, after number: Int) -> Part {
            guard published <= number else {
                // A viewer that has just joined has read the log itself.
                if hasFailed { return .news(number == .min ? .readYourself : .nothing) }
                guard let look = window?.look(reader) else { return .news(.readYourself) }
                return .news(.look(look, number: published))
            }
            // The window begins where the viewer that is furthest behind has read to.
            if window?.covers(reader.position) != true { window = LogWindow(at: reader.position) }
            guard leader == nil else { return .wait }
            leader = ObjectIdentifier(seat)
            return .lead
        }
    }

    private let wakes: SessionWakes
    private let state = Guarded(State())

    /// - Parameter wakes: The wake-ups of the session.
    init(wakes: SessionWakes) {
        self.wakes = wakes
    }

    // MARK: Viewers

    func sit(_ signal: WakeSignal) -> Seat {
        let seat = Seat(signal)
        state.withLock { $0.seats[ObjectIdentifier(seat)] = seat }
        return seat
    }

    func leave(_ seat: Seat) {
        state.withLock { _ = $0.seats.removeValue(forKey: ObjectIdentifier(seat)) }
    }

    /// Wakes a viewer that waits, so that it checks whether it should stop.
    func interrupt(_ seat: Seat) {
        if state.withLock({ $0.leader == ObjectIdentifier(seat) }) { wakes.signal.wake() }
        seat.signal.wake()
    }

    /// The number of the latest read that has begun. A viewer that reads on its own from now on
    /// needs no earlier one.
    var started: Int { state.withLock { $0.started } }

    /// Calls `body` to take over a lost step: by one viewer at a time and once for each read.
    func takeOver(_ body: () async -> Void) async {
        let isDue = state.withLock { state in
            guard !state.isTakingOver, state.lastTakeOver != state.published else { return false }
            (state.isTakingOver, state.lastTakeOver) = (true, state.published)
            return true
        }
        guard isDue else { return }
        await body()
        state.withLock { $0.isTakingOver = false }
    }

    // MARK: Reading

    /// Waits for news of the log behind a reader's position.
    ///
    /// - Parameters:
    ///   - number: The number of the read that the viewer got last, or ``started`` as it was before
    ///     the viewer read on its own.
    ///   - timeout: The longest time between two reads.
    ///   - isWanted: Whether the viewer is still connected.
    ///   - read: Reads a page of the log; nil when it cannot be read, or the viewer should stop.
    func next(
        after reader: LogReader, _ seat: Seat, number: Int, timeout: Duration, isWanted: () -> Bool,
        read: (LogWindow.Position) async -> LogView?
    ) async -> News {
        while isWanted() {
            switch state.withLock({ $0.part(for: reader, seat, after: number) }) {
            case .news(let news): return news
            case .wait: await seat.signal.next(timeout: timeout * 2)
            case .lead: await lead(seat, timeout: timeout, isWanted: isWanted, read: read)
            }
        }
        return .nothing
    }

    private func lead(
        _ seat: Seat, timeout: Duration, isWanted: () -> Bool, read: (LogWindow.Position) async -> LogView?
    ) async {
        await wakes.next(timeout: timeout)
        guard isWanted() else { return handOver() }
        let (position, number) = state.withLock { state in
            state.started += 1
            return (state.window?.end ?? (0, 0), state.started)
        }
        let view = await read(position)
        guard view != nil || isWanted() else { return handOver() }
        publish(view, after: position, number: number, from: seat)
    }

    /// Passes the wake-up of a leader that leaves to the next one.
    private func handOver() {
        let seats = state.withLock { state in
            state.leader = nil
            return Array(state.seats.values)
        }
        wakes.signal.wake()
        for seat in seats { seat.signal.wake() }
    }

    private func publish(_ view: LogView?, after position: LogWindow.Position, number: Int, from leader: Seat) {
        let (seats, readsOn) = state.withLock { state -> ([Seat], Bool) in
            state.leader = nil
            // A viewer that is further behind has joined meanwhile: the next read starts at its
            // position.
            if view != nil, let end = state.window?.end, end != position {
                // The leader of this read may leave instead of leading again.
                return (state.seats.values.filter { $0 !== leader }, true)
            }
            if let view { state.window?.add(view) }
            (state.published, state.hasFailed) = (number, view == nil)
            return (state.seats.values.filter { $0 !== leader }, view?.entries.count == LogFollower.page)
        }
        if readsOn { wakes.signal.wake() }
        for seat in seats { seat.signal.wake() }
    }
}

/// The feeds of all sessions that have viewers on this replica.
final class LogFeeds: Sendable {
    private let feeds = Guarded<[SessionID: (feed: LogFeed, viewers: Int)]>([:])

    /// Returns the session's feed for one more viewer; ``leave(_:)`` releases it.
    func join(_ session: SessionID, make: () -> LogFeed) -> LogFeed {
        feeds.withLock { feeds in
            let (feed, viewers) = feeds[session] ?? (make(), 0)
            feeds[session] = (feed, viewers + 1)
            return feed
        }
    }

    func leave(_ session: SessionID) {
        feeds.withLock { feeds in
            guard let (feed, viewers) = feeds[session] else { return }
            feeds[session] = viewers > 1 ? (feed, viewers - 1) : nil
        }
    }
}
