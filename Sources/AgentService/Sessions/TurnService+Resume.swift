public import SessionStore

/// The position at which a client that joins a session's stream begins.
public enum ResumePoint: Sendable {
    /// The session does not exist.
    case noSession
    /// The client has everything, and nothing runs.
    case nothingLeft
    /// The place in the log at which the client continues.
    case position(LogPosition)
}

extension TurnService {
    /// Returns where a client begins that follows a session: behind the event that it names,
    /// otherwise with the latest step.
    ///
    /// A client that has all events of a step gets the next step, if the log has one.
    public func resumePoint(_ session: SessionID, after id: EventID?, as requester: Requester) async throws(StoreError) -> ResumePoint {
        let view = try await store.log(
            session, afterStep: id?.step ?? 0, sequence: id?.sequence ?? 0, openingOf: id?.step, limit: 1, as: requester)
        guard view.step > 0 else {
            // A history can exist without a step.
            return try await store.historyLength(session, as: requester) > 0 ? .nothingLeft : .noSession
        }
        guard let id else { return .position(.beginning(of: view.step)) }
        return LogPosition.resuming(after: id, in: view, joinsNext: true).map { .position($0) } ?? .nothingLeft
    }

    /// Follows a session from a position that ``resumePoint(_:after:as:)`` returned.
    ///
    /// - Throws: ``TurnError/draining`` or ``TurnError/overloaded``.
    public func follow(
        _ session: SessionID, from position: LogPosition, stream: ClientStream, as requester: Requester
    ) throws(TurnError) {
        do throws(StepScheduler.Refusal) {
            try scheduler.start {
                await self.tell(session, from: position, to: stream, as: requester, followsSession: true)
                stream.finish()
                return .end()
            }
        } catch {
            throw TurnError(error)
        }
        keepAlive.add(stream)
    }

    /// Emits the step of a request that was accepted before: all events, or those behind the event
    /// that the client names.
    func replay(_ session: SessionID, step: Int, after id: EventID?, to stream: ClientStream, as requester: Requester) async {
        var position = LogPosition.beginning(of: step)
        if let id {
            do throws(StoreError) {
                position = try await self.position(session, step: step, after: id, as: requester)
            } catch {
                // All events behind a restart are right for any client.
                position = .beginning(of: step, voiding: id.step)
            }
        }
        await tell(session, from: position, to: stream, as: requester)
    }

    private func position(
        _ session: SessionID, step: Int, after id: EventID, as requester: Requester
    ) async throws(StoreError) -> LogPosition {
        guard try await leads(session, from: step, to: id.step, as: requester) else { return .beginning(of: step, voiding: id.step) }
        let view = try await store.log(
            session, afterStep: id.step, sequence: id.sequence, openingOf: id.step, limit: 1, as: requester)
        // Every request gets the last event of its step, even a second time.
        return LogPosition.resuming(after: id, in: view, joinsNext: false) ?? .before(id)
    }

    /// Returns whether `later` is the step, or replaces it through steps that the log still holds.
    private func leads(
        _ session: SessionID, from step: Int, to later: Int, as requester: Requester
    ) async throws(StoreError) -> Bool {
        var number = later
        while number > step {
            let view = try await store.log(
                session, afterStep: number, sequence: .max, openingOf: number, limit: 1, as: requester)
            guard let replaced = view.opening?.replaces, replaced < number else { return false }
            number = replaced
        }
        return number == step
    }

    /// Emits the log to a client, from a position.
    func tell(
        _ session: SessionID, from position: LogPosition, to stream: ClientStream, as requester: Requester,
        followsSession: Bool = false
    ) async {
        let stopSignal = StopSignal()
        scheduler.register(stopSignal)
        defer { scheduler.unregister(stopSignal) }
        await LogFollower(
            store: store, session: session, requester: requester, stopSignal: stopSignal, stream: stream, position: position,
            followsSession: followsSession, tick: configuration.followTick, feeds: feeds,
            onOrphan: { step in await self.takeOverIfPossible(session, step: step) }
        ).run()
    }
}
