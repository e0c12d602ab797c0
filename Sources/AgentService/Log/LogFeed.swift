import SessionStore
import Synchronization

/// One session's log, read once for all viewers on this replica that have caught up with it.
///
/// No task of its own reads: of the viewers that wait one leads, waits for the session's wake-up, reads, and wakes the others. The first one
/// that waits again leads next. One that leaves while it leads hands over. A viewer that is behind reads on its own and holds up nobody.
final class LogFeed: Sendable {
    enum News {
        /// - Parameter number: Of the read that brought it.
        case look(LogLook, number: Int)
        /// What comes next for the viewer is not held here.
        case readYourself
        /// The log cannot be read, or the viewer is to stop.
        case nothing
    }

    /// A viewer's place.
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
        /// Reads are numbered as they start.
        var started = 0
        var published = 0
        /// The last read did not come about.
        var hasFailed = false
        var isTakingOver = false
        /// What was published when the step was last to be taken over.
        var lastTakeOver: Int?

        mutating func part(for reader: LogReader, _ seat: Seat, after number: Int) -> Part {
            guard published <= number else {
                // One that has just come has read the log itself.
                if hasFailed { return .news(number == .min ? .readYourself : .nothing) }
                guard let look = window?.look(reader) else { return .news(.readYourself) }
                return .news(.look(look, number: published))
            }
            // From where the viewer that is furthest behind has just read to.
            if window?.covers(reader.position) != true { window = LogWindow(at: reader.position) }
            guard leader == nil else { return .wait }
            leader = ObjectIdentifier(seat)
            return .lead
        }
    }

    private let wakes: SessionWakes
    private let state = Mutex(State())

    /// - Parameter wakes: The session's.
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

    /// Has a viewer that waits look whether it is still to.
    func interrupt(_ seat: Seat) {
        if state.withLock({ $0.leader == ObjectIdentifier(seat) }) { wakes.signal.wake() }
        seat.signal.wake()
    }

    /// The latest read that has begun. Of it and those before, a viewer that looks on its own from now on need not be told.
    var started: Int { state.withLock { $0.started } }

    /// Has a lost step taken over, by one viewer at a time and once for each read.
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

    /// Waits for news of the log behind a reader's place.
    ///
    /// - Parameters:
    ///   - number: Of the read that the viewer was told last, or what ``started`` was before it looked on its own.
    ///   - timeout: The longest time between two looks.
    ///   - isWanted: Whether the viewer is still there.
    ///   - read: Reads a page of the log; nil when it cannot be read, or the viewer is to stop.
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

    /// What has woken the leader is for the next one.
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
            // A viewer that is further behind has come meanwhile: read once more, from there.
            if view != nil, let end = state.window?.end, end != position {
                // This one may leave instead of leading again.
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
    private let feeds = Mutex<[SessionID: (feed: LogFeed, viewers: Int)]>([:])

    /// The session's feed, for one more viewer; ``leave(_:)`` lets it go.
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
