import Synchronization

/// A boolean that can be set through a constant.
final class Flag: Sendable {
    private let value = Atomic(false)

    /// Sets the value.
    ///
    /// - Returns: The value before.
    @discardableResult func set(_ new: Bool) -> Bool { value.exchange(new, ordering: .relaxed) }
}
