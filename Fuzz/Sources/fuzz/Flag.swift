import Synchronization

/// A boolean that may be set where nothing else may be changed.
final class Flag: Sendable {
    private let value = Atomic(false)

    /// - Returns: What it was.
    @discardableResult func set(_ new: Bool) -> Bool { value.exchange(new, ordering: .relaxed) }
}
