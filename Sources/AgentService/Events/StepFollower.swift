import NIOCore
import SessionStore

/// Tells a client what the log says of a step: events that are there already, then those that come, through to `done`.
///
/// It reads the log and nothing else, so it can run on any replica, and any number of them at once. It subscribes before it waits, reads
/// again once the subscription stands, then on every wake-up and on a timer: a lost wake-up costs delay, not data (I5).
struct StepFollower: Sendable {
    let store: RedisSessionStore
    let session: SessionID
    let control: StepControl
    let stream: ClientStream
    let place: LogPlace
    /// The longest time between two looks at the log.
    let tick: Duration
    /// Called with a step whose replica is lost, before the follower waits.
    var onOrphan: @Sendable (_ step: Int) async -> Void = { _ in }

    /// Entries per look at the log.
    private static let page = 256
    /// How many leases a step may be without a replica before the client is told so.
    private static let orphanLeases = 5
    /// How long a client may take nothing at all.
    private static let clientPatience = Duration.seconds(60)

    func run() async {
        var reader = LogReader(place)
        var wakes: SessionWakes?
        var orphaned: ContinuousClock.Instant?
        if let voided = place.voids { restart(reader.step, voiding: voided) }
        while stream.isOpen, control.reason == nil {
            guard await clientHasRoom(), let view = await look(reader.position) else { return }
            if view.step == reader.step, let nonce = reader.nonce, nonce != view.nonce {
                // A failover of Redis gave the fence out twice.
                restart(reader.step, voiding: reader.step)
                reader.restart()
                continue
            }
            var outcome = LogReader.Outcome.more
            stream.write { outcome = reader.read(view.entries, into: &$0) }
            switch outcome {
            case .done: return
            case .gone: return await tellFromHistory(reader, view)
            case .more: break
            }
            // The state was read before the log, so the log may be ahead.
            if view.entries.count == Self.page || (reader.step > view.step && !view.entries.isEmpty) { continue }
            guard view.isRunning, view.step == reader.step else { return await tellFromHistory(reader, view) }
            if view.isOrphaned {
                let since = orphaned ?? .now
                orphaned = since
                guard ContinuousClock.now - since < store.configuration.lease * Self.orphanLeases else {
                    return fail(reader.step, "the replica that ran this step is lost; send the request again", code: "replica_lost")
                }
                await onOrphan(view.step)
            } else {
                orphaned = nil
            }
            let current = wakes ?? subscribe()
            wakes = current
            await current.next(timeout: view.leaseLeft > .zero ? min(tick, view.leaseLeft) : tick)
        }
        if control.reason == .draining { stream.handOver() }
    }

    private func subscribe() -> SessionWakes {
        let wakes = store.wakes(of: session)
        stream.whenClosed { [signal = wakes.signal] in signal.wake() }
        return wakes
    }

    /// The log is read no faster than the client reads.
    ///
    /// - Returns: False when it takes nothing at all; it is cut off then, and may resume.
    private func clientHasRoom() async -> Bool {
        let begun = ContinuousClock.now
        while stream.isOpen, stream.isBehind {
            guard control.reason == nil, ContinuousClock.now - begun < Self.clientPatience else {
                stream.close()
                return false
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    /// - Returns: Nil when the log could not be read for a whole lease; the client was told so.
    private func look(_ position: (step: Int, sequence: Int)) async -> LogView? {
        let begun = ContinuousClock.now
        while true {
            do throws(StoreError) {
                return try await store.log(session, afterStep: position.step, sequence: position.sequence, limit: Self.page)
            } catch {
                // A connection that is being made again is no reason to give up.
                guard stream.isOpen, control.reason == nil, ContinuousClock.now - begun < store.configuration.lease else {
                    fail(place.step, "the log of this step cannot be read", code: "store_unavailable")
                    return nil
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    // MARK: What is not in the log

    /// The log does not have the rest: the end of the step is made again from the history.
    private func tellFromHistory(_ reader: LogReader, _ view: LogView) async {
        guard view.step > 0 else {
            return fail(reader.step, "the session was deleted", code: "session_deleted", retryable: false)
        }
        do throws(StoreError) {
            let journal = try await store.journal(session)
            guard let rebuilt = RebuiltStep(step: reader.step, journal: journal.lines, isComplete: journal.isComplete),
                let page = try await store.history(session, offset: rebuilt.range.lowerBound, limit: rebuilt.range.count)
            else { return fail(reader.step, "the events of this step are gone; read the session's history", code: "events_gone") }
            // Whoever has a part of the text is told that it comes once more.
            if reader.sequence > 0 { restart(rebuilt.step, voiding: reader.step) }
            stream.write { buffer in
                for event in rebuilt.events(session, messages: page.messages) {
                    EventEncoder.write(unlogged: event.name, json: event.json, into: &buffer)
                }
            }
        } catch {
            fail(reader.step, "the history of this step cannot be read", code: "store_unavailable")
        }
    }

    private func restart(_ step: Int, voiding voided: Int) {
        let json = StreamChunk.restart(step: step, replaces: voided, reason: "unknown_event_id")
        stream.write { EventEncoder.write(unlogged: .restart, json: json, into: &$0) }
    }

    private func fail(_ step: Int, _ message: String, code: String, retryable: Bool = true) {
        let done = DoneEvent(status: .failed, session: session, step: step)
        stream.write { buffer in
            EventEncoder.write(unlogged: .error, json: StreamChunk.error(message, code: code, retryable: retryable), into: &buffer)
            EventEncoder.write(unlogged: .done, json: done.json, into: &buffer)
        }
    }
}
