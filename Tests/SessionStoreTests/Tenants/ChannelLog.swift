import Locks

/// Collects the messages of a channel.
final class ChannelLog: Sendable {
    private let state = Guarded<[String]>([])

    var messages: [String] { state.withLock { $0 } }

    func add(_ message: String) { state.withLock { $0.append(message) } }
}
