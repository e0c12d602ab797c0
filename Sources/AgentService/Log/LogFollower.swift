import NIOCore
import SessionStore

/// Tells a client what the log says of a step: events that are there already, then those that come, through to `done`.
///
/// It reads the log and nothing else, so it can run on any replica, and any number of them at once. It reads on its own until it has caught
/// up, and then together with the session's other viewers, in a ``LogFeed``: that subscribes before it waits, reads again once the subscription
/// stands, then on every wake-up and on a timer. A lost wake-up costs delay, not data (I5).
struct LogFollower: Sendable {
    let store: RedisSessionStore
    let session: SessionID
    let stopSignal: StopSignal
    let stream: ClientStream
    let position: LogPosition
    /// Whether the client goes on with the next step after this one, by the id of the last event: it follows the session, not a request of its own.
    let followsSession: Bool
    /// The longest time between two looks at the log.
    let tick: Duration
    /// Shared with the replica's other viewers.
    var feeds = LogFeeds()
    /// Called with a step whose replica is lost, before the follower waits; not by all viewers of a session.
    var onOrphan: @Sendable (_ step: Int) async -> Void = { _ in }

    /// Entries per look at the log.
    static let page = 256
    /// How many leases a step may be without a replica before the client is asked to come again.
    private static let orphanLeases = 5
    /// How long a client may take nothing at all.
    private static let clientPatience = Duration.seconds(60)

    /// Afterwards the client has had `done`, has left, or was asked to go on elsewhere or later.
    func run() async {
        guard await !tell() else { return }
        stream.emit(stopSignal.reason == .draining ? .resumeElsewhere : .resumeLater)
    }

    /// - Returns: Whether the client was told everything, through to `done`. A step that may still end otherwise is never said to have failed.
    private func tell() async -> Bool {
        var reader = LogReader(position)
        var chair: Chair?
        defer { if let chair { leave(chair) } }
        /// Until when the next look may wait; nil where it is due.
        var timeout: Duration?
        var orphaned: ContinuousClock.Instant?
        if let voided = position.voids { restart(reader.step, voiding: voided, because: .unknownEventID) }
        while stream.isOpen, stopSignal.reason == nil {
            guard await clientHasRoom() else { return false }
            guard let look = await look(reader, &chair, timeout: timeout) else { return false }
            let view = look.view
            timeout = nil
            if view.step == reader.step, let nonce = reader.nonce, nonce != view.nonce {
                // A failover of Redis gave the fence out twice, or the session was deleted and begun anew.
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
            // Of a step that runs the end is still to come: it is told from the history then.
            case .gone: return view.isRunning && view.step == reader.step ? false : await tellFromHistory(reader, view)
            case .more: break
            }
            // The state was read before the log, so the log may be ahead.
            if look.isFull || (reader.step > view.step && look.hasEntries) { continue }
            guard view.isRunning, view.step == reader.step else { return await tellFromHistory(reader, view) }
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

    /// The log is read no faster than the client reads.
    ///
    /// - Returns: False when it takes nothing at all; it is cut off then, and may resume. Also when the follower is to stop.
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

    /// Redis may be failing over: a viewer has the patience that the step's owner has with its commit.
    ///
    /// - Returns: Nil when the log could not be read for all that time, or nobody wants it any more.
    func page(after position: (step: Int, sequence: Int)) async -> LogView? {
        let begun = ContinuousClock.now
        let patience = max(store.configuration.lease, store.configuration.commitPatience)
        while true {
            do throws(StoreError) {
                return try await store.log(session, afterStep: position.step, sequence: position.sequence, limit: Self.page)
            } catch {
                // A connection that is being made again is no reason to give up.
                guard error.code != .damaged, stream.isOpen, stopSignal.reason == nil, !Task.isCancelled,
                    ContinuousClock.now - begun < patience
                else { return nil }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
