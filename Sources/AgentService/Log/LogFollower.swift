import NIOCore
import SessionStore

/// Emits a step from its log to one client: first the events that the log holds, then new ones, up
/// to the last.
///
/// It only reads the log, so it can run on any replica, and any number of followers at once. It
/// reads on its own until it has caught up, and then together with the session's other viewers, in
/// a ``LogFeed``. The feed subscribes before it waits, reads again when the subscription is
/// confirmed, then on every wake-up and on a timer. A lost wake-up costs delay, not data (I5).
struct LogFollower: Sendable {
    let store: RedisSessionStore
    let session: SessionID
    /// In whose name the client follows. The session may be deleted, and another user may begin one
    /// with its name.
    let requester: Requester
    let stopSignal: StopSignal
    let stream: ClientStream
    let position: LogPosition
    /// Whether the client follows the session and not a request of its own: with the id of the last
    /// event it then joins the step after this one.
    let followsSession: Bool
    /// The longest time between two reads of the log.
    let tick: Duration
    /// Shared with the replica's other viewers.
    var feeds = LogFeeds()
    /// Called with a step whose replica is lost, before the follower waits; by one viewer of the
    /// session.
    var onOrphan: @Sendable (_ step: Int) async -> Void = { _ in }

    /// Entries per read of the log.
    static let page = 256
    /// The number of leases that a step may be without a replica before the client is asked to
    /// resume later.
    private static let orphanLeases = 5
    /// The longest time in which a client takes no byte.
    private static let clientPatience = Duration.seconds(60)

    /// Follows until the client has the last event, has left, or was asked to resume elsewhere or
    /// later.
    func run() async {
        guard await !emitAll() else { return }
        stream.emit(stopSignal.reason == .draining ? .resumeElsewhere : .resumeLater)
    }

    /// Emits all events.
    ///
    /// - Returns: Whether the client has the last event. A step that may still end well is never
    ///   reported as failed.
    private func emitAll() async -> Bool {
        var reader = LogReader(position, of: session)
        var chair: Chair?
        defer { if let chair { leave(chair) } }
        /// How long the next read may wait; nil if it is due.
        var timeout: Duration?
        var orphaned: ContinuousClock.Instant?
        if let voided = position.voids { restart(reader.step, voiding: voided, because: .unknownEventID) }
        while stream.isLive, stopSignal.reason == nil {
            guard await clientHasRoom() else { return false }
            guard let look = await look(reader, &chair, timeout: timeout) else { return false }
            let view = look.view
            timeout = nil
            if view.step == reader.step, let nonce = reader.nonce, nonce != view.nonce {
                // A failover of Redis gave the fence out twice, or the session was deleted and
                // begun again.
                guard followsSession else {
                    let message = "this step is not there any more: its session was deleted, or Redis has lost it"
                    return fail(reader.step, message, code: "session_deleted", retryable: false)
                }
                restart(reader.step, voiding: reader.step, because: .unknownEventID)
                reader.restart()
                continue
            }
            reader = look.reader
            if !look.events.isEmpty {
                stream.write { output in
                    for event in look.events { output.emit(event.event, id: event.id) }
                }
            }
            switch look.outcome {
            case .done: return true
            // The end of a running step is still to come: it is then reconstructed from the
            // history.
            case .gone: return view.isRunning && view.step == reader.step ? false : await reconstruct(reader, view)
            case .more: break
            }
            // The state was read before the log, so the log may be ahead.
            if look.isFull || (reader.step > view.step && look.hasEntries) { continue }
            guard view.isRunning, view.step == reader.step else { return await reconstruct(reader, view) }
            let current = chair ?? sit()
            chair = current
            if view.isOrphaned {
                let since = orphaned ?? .now
                orphaned = since
                guard ContinuousClock.now - since < store.configuration.lease * Self.orphanLeases else { return false }
                await current.feed.takeOver { await onOrphan(view.step) }
            } else {
                orphaned = nil
            }
            timeout = view.leaseLeft > .zero ? min(tick, view.leaseLeft) : tick
        }
        return false
    }

    /// Waits until the client has room, so that the log is read no faster than the client reads.
    ///
    /// - Returns: False when the client takes no byte at all: it is cut off, and may resume. Also
    ///   when the follower should stop.
    private func clientHasRoom() async -> Bool {
        let begun = ContinuousClock.now
        while stream.isOpen, stream.isBehind {
            guard stopSignal.reason == nil else { return false }
            guard ContinuousClock.now - begun < Self.clientPatience else {
                stream.close()
                return false
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    /// Reads a page of the log, which viewers in several users' names may share: each of them checks
    /// the owner itself. While Redis fails over, a viewer has the patience that the step's
    /// owner has with its commit.
    ///
    /// - Returns: Nil when the log could not be read in all that time, or when the follower should
    ///   stop.
    func page(after position: (step: Int, sequence: Int)) async -> LogView? {
        let begun = ContinuousClock.now
        let patience = max(store.configuration.lease, store.configuration.commitPatience)
        while true {
            do throws(StoreError) {
                return try await store.log(
                    session, afterStep: position.step, sequence: position.sequence, limit: Self.page, as: .tenant)
            } catch {
                // A connection that Redis's client makes again is not a reason to give up.
                guard error.code != .damaged, stream.isOpen, stopSignal.reason == nil, !Task.isCancelled,
                    ContinuousClock.now - begun < patience
                else { return nil }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
