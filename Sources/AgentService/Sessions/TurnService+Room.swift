import NIOCore
import SessionStore

extension TurnService {
    /// Where turns wait for room for their histories, a message waits before it is accepted: it can be refused yet.
    ///
    /// How large its history is costs a look at the session, and is only asked for then.
    ///
    /// - Returns: Nil where nobody waits. The step takes its room when its size is known, then.
    /// - Throws: ``TurnError/crowded`` at the deadline; nothing was written.
    func room(for begin: BeginStep, until deadline: ContinuousClock.Instant) async throws(TurnError) -> ByteShare? {
        guard histories.areCrowded else { return nil }
        let bytes: Int
        do throws(StoreError) {
            bytes = try await store.historyBytes(begin.session) + begin.input.byteCount
        } catch {
            throw .store(error)
        }
        let budget = histories.turns(bytes: bytes)
        guard budget.isCrowded else { return nil }
        // Whoever waits takes a place like whoever runs: so there is a bound.
        do throws(StepScheduler.Refusal) { try scheduler.enter() } catch { throw TurnError(error) }
        defer { scheduler.leave() }
        guard let share = await budget.take(HistoryBudgets.held(bytes), until: deadline) else { throw .crowded }
        return share
    }

    /// Room for a part of a history that a client reads: its pages, and the answer that they are written into.
    ///
    /// - Returns: Nil where there was none in time.
    public func roomToRead() async -> ByteShare? {
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
