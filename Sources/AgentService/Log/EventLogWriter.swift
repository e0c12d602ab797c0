import NIOCore
import SessionStore
import Synchronization

/// The way of one step's events into the log: batches them, renews the lease, and learns when the lease is lost.
///
/// At most one append is under way, so that batches stay in order and the commit can wait for the last one. What could not be
/// written stays and goes along with the next batch: a batch that arrives twice is told apart by its last id.
final class EventLogWriter: Sendable {
    private struct State {
        var pending: LoggedEvents
        /// What is on its way to Redis.
        var inFlight: LoggedEvents?
        var isBusy = false
        /// The last append has: the next one is the tick's, however many events there are.
        var hasFailed = false
        var isClosed = false
        /// Somebody says that the lease was taken.
        var isDoubted = false
        var entries = 0
        var lastAnswer: ContinuousClock.Instant
        var lastRenewal: ContinuousClock.Instant
        var lastHint: ContinuousClock.Instant
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>
    private let store: RedisSessionStore
    private let lease: StepLease
    private let route: RedisRoute
    /// Where its clock ticks: the loop of the connection that its batches go over, which on a Cluster may be another one later.
    let eventLoop: any EventLoop
    /// Where many are written, they are written in parts; a number that says in which.
    let part = Int.random(in: 0..<60)
    private let interval: Duration
    private let batchLimit: Int
    private let renewal: Duration
    private let onLost: @Sendable (_ step: Int, _ intent: String) -> Void

    init(
        store: RedisSessionStore,
        lease: StepLease,
        interval: Duration,
        batchLimit: Int,
        onLost: @escaping @Sendable (_ step: Int, _ intent: String) -> Void
    ) {
        self.store = store
        self.lease = lease
        self.interval = interval
        self.batchLimit = batchLimit
        self.onLost = onLost
        route = store.route(for: lease.session)
        eventLoop = route.connection.eventLoop
        renewal = store.configuration.lease / 3
        let now = ContinuousClock.now
        state = Mutex(State(pending: LoggedEvents(firstSequence: 1), lastAnswer: now, lastRenewal: now, lastHint: now))
    }

    var name: StepName { StepName(session: lease.session, step: lease.step) }

    /// Asks at once whether the lease is still held. Whoever says that it is not may be wrong or late: only Redis knows.
    func check() {
        state.withLock { $0.isDoubted = true }
        flush(now: .now)
    }

    /// Adds events and gives back the first one's sequence number.
    func append(_ body: (inout LoggedEvents) -> Void) -> Int {
        let (first, isFull) = state.withLock { state in
            let first = state.pending.nextSequence
            body(&state.pending)
            return (first, state.pending.count >= batchLimit && !state.isBusy && !state.hasFailed)
        }
        if isFull { flush(now: .now) }
        return first
    }

    /// Writes what is due: events that have waited for the interval, or the renewal of the lease.
    func tick(now: ContinuousClock.Instant) {
        let isDue = state.withLock { state in
            guard !state.isBusy, !state.isClosed else { return false }
            if state.isDoubted { return true }
            guard now - state.lastAnswer >= interval else { return false }
            if now - state.lastRenewal >= renewal { return true }
            return !state.pending.isEmpty && now - state.lastAnswer >= interval * Self.slowdown(entries: state.entries)
        }
        if isDue { flush(now: now) }
    }

    /// After 5,000 entries the interval doubles, after 10,000 again, and so on: a long step makes fewer entries, and is never
    /// cut at its head.
    static func slowdown(entries: Int) -> Int {
        1 << min(entries / 5000, 8)
    }

    private func flush(now: ContinuousClock.Instant) {
        let (batch, renews, movesHint) = state.withLock { state -> (LoggedEvents?, Bool, Bool) in
            guard !state.isBusy, !state.isClosed else { return (nil, false, false) }
            state.isBusy = true
            // Early enough for the next batch to be in time.
            let renews = state.isDoubted || now - state.lastRenewal >= renewal / 2
            state.isDoubted = false
            let batch = state.pending.takeAll()
            state.inFlight = batch
            let isDue = now - state.lastHint >= renewal
            if isDue { state.lastHint = now }
            return (batch, renews, isDue)
        }
        guard let batch else { return }
        if movesHint { store.moveHint(lease.session, on: route) }
        store.append(batch, lease: lease, renews: renews, on: route) { result, hasRenewed in
            self.answered(result, sent: now, hasRenewed: hasRenewed)
        }
    }

    private func answered(_ result: Result<LeaseAnswer, StoreError>, sent: ContinuousClock.Instant, hasRenewed: Bool) {
        let now = ContinuousClock.now
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.isBusy = false
            // A failure waits for the interval, too: the tick sends it again.
            state.lastAnswer = now
            switch result {
            case .success(.held):
                state.hasFailed = false
                if hasRenewed { state.lastRenewal = sent }
                if let batch = state.inFlight, !batch.isEmpty { state.entries += 1 }
            case .success(.lost):
                // Whatever else is written would be refused as well, and the loss is told once.
                state.isClosed = true
            case .failure:
                state.hasFailed = true
                if var batch = state.inFlight {
                    batch.append(contentsOf: state.pending)
                    state.pending = batch
                }
            }
            state.inFlight = nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
        if case .success(.lost(let step, let intent)) = result { onLost(step, intent) }
    }

    /// Ends the log's own writing: waits for the append that is under way and gives back what it has not written.
    func close() async -> LoggedEvents {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                state.isClosed = true
                if state.isBusy { state.waiter = continuation }
                return !state.isBusy
            }
            if isIdle { continuation.resume() }
        }
        return state.withLock { $0.pending.takeAll() }
    }
}
