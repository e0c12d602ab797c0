import Locks

/// The latest step of each session that Redis's replicas have acknowledged, as this replica has
/// seen. A reader of such a step need not wait for them.
///
/// `WAIT` covers all that was written before, so that earlier steps are acknowledged, too.
final class AcknowledgedSteps: Sendable {
    private struct Note {
        var epoch: String
        var step: Int
    }

    private let bound: Int
    private let notes = Guarded<[SessionID: Note]>([:])

    /// - Parameter bound: How many sessions it remembers. One more drops any other, which costs a
    ///   wait.
    init(bound: Int = 4096) {
        self.bound = bound
    }

    func holds(_ session: SessionID, epoch: String?, step: Int) -> Bool {
        guard let epoch else { return false }
        return notes.withLock { notes in notes[session].map { $0.epoch == epoch && $0.step >= step } ?? false }
    }

    func note(_ session: SessionID, epoch: String?, step: Int) {
        guard let epoch else { return }
        notes.withLock { notes in
            if notes[session] == nil, notes.count >= bound, let other = notes.keys.first { notes[other] = nil }
            let known = notes[session].flatMap { $0.epoch == epoch ? $0.step : nil } ?? 0
            notes[session] = Note(epoch: epoch, step: max(known, step))
        }
    }
}
