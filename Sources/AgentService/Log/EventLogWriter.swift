import Locks
import NIOCore
import RedisClient
import SessionStore

/// Writes one step's events to the log in batches, renews the lease, and notices a lost lease.
///
/// At most one append is under way, so that batches stay in order and the commit can wait for the
/// last one. Events that Redis did not take stay and join the next batch: a script recognizes a
/// batch that arrives twice by its last id.
final class EventLogWriter: Sendable {
    private struct State {
        var pending: LoggedEvents
        /// The batch on its way to Redis.
        var inFlight: LoggedEvents?
        var isBusy = false
        /// The last append has failed. The next append waits for the tick, however many events
        /// there are.
        var hasFailed = false
        var isClosed = false
        /// A notice says that another replica has taken the lease.
        var isDoubted = false
        var entries = 0
        var lastAnswer: ContinuousClock.Instant
        var lastRenewal: ContinuousClock.Instant
        var lastHint: ContinuousClock.Instant
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Guarded<State>
    private let store: RedisSessionStore
    private let lease: StepLease
    private let route: RedisRoute
    /// The event loop of this log's clock: that of the connection for its batches, which may change
    /// on a Cluster.
    let eventLoop: any EventLoop
    /// A number that says in which part this log is written when a replica writes many logs in
    /// parts.
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
        state = Guarded(State(pending: LoggedEvents(firstSequence: 1), lastAnswer: now, lastRenewal: now, lastHint: now))
    }

    var name: StepName { StepName(session: lease.session, step: lease.step) }

    /// Asks Redis at once whether the lease is still held. The notice that it is not may be wrong
    /// or late.
    func check() {
        state.withLock { $0.isDoubted = true }
        flush(now: .now)
    }

    /// Adds events and returns the sequence number of the first one.
    func append(_ body: (inout LoggedEvents) -> Void) -> Int {
        let (first, isFull) = state.withLock { state in
            let first = state.pending.nextSequence
            body(&state.pending)
            return (first, state.pending.count >= batchLimit && !state.isBusy && !state.hasFailed)
        }
        if isFull { flush(now: .now) }
        return first
    }

    /// Writes events that have waited for the interval, and renews a lease that is due.
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

    /// Returns the factor of the interval: it doubles after 5,000 entries, after 10,000 again, and
    /// so on. A long step so makes fewer entries, and Redis never trims its first ones.
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
            // After a failure the tick sends the batch again, so it waits for the interval, too.
            state.lastAnswer = now
            switch result {
            case .success(.held):
                state.hasFailed = false
                if hasRenewed { state.lastRenewal = sent }
                if let batch = state.inFlight, !batch.isEmpty { state.entries += 1 }
            case .success(.lost):
                // Redis would refuse every further write, and the loss is reported once.
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

    /// Closes the log: waits for the append that is under way and returns the events that are not
    /// written.
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
