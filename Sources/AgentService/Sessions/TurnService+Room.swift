import NIOCore
import SessionStore

extension TurnService {
    /// Waits for room for a history before the message is accepted, while it can still be refused,
    /// if other turns wait for room.
    ///
    /// The history's size costs a read of the session, so it is read only in that case.
    ///
    /// - Returns: Nil if no turn waits. The step then takes its room when it knows the size.
    /// - Throws: ``TurnError/crowded`` at the deadline; nothing was written.
    func room(
        for begin: BeginStep, as requester: Requester, until deadline: ContinuousClock.Instant
    ) async throws(TurnError) -> ByteShare? {
        guard histories.areCrowded else { return nil }
        let bytes: Int
        do throws(StoreError) {
            bytes = try await store.historyBytes(begin.session, as: requester) + begin.input.byteCount
        } catch {
            throw .store(error)
        }
        let budget = histories.turns(bytes: bytes)
        guard budget.isCrowded else { return nil }
        // A message that waits takes a slot like a step that runs: so there is a bound.
        do throws(StepScheduler.Refusal) { try scheduler.enter() } catch { throw TurnError(error) }
        defer { scheduler.leave() }
        guard let share = await budget.take(HistoryBudgets.held(bytes), until: deadline) else { throw .crowded }
        return share
    }

    /// Waits for room for a part of a history that a client reads: its pages, and the response that
    /// they are written into.
    ///
    /// - Returns: Nil if there was no room in time.
    package func roomToRead() async -> ByteShare? {
        let bytes = HistoryBudgets.held(store.configuration.historyPageBytes)
        return await histories.reads.take(bytes, until: .now.advanced(by: Self.readPatience))
    }

    private static let readPatience = Duration.seconds(5)
}

extension BeginStep.Input {
    fileprivate var byteCount: Int {
        switch self {
        case .user(let json), .toolResult(let json, _, _), .replacement(let json): json.readableBytes
        case .retry: 0
        }
    }
}
