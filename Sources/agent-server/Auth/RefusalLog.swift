import Locks
import Logging
import NIOCore

/// Logs refused keys, at most ten a second: a client that guesses keys must not be able to fill a
/// disk. The rest is counted, and the count is logged a second later.
final class RefusalLog: Sendable {
    private struct State {
        var second = NIODeadline.uptimeNanoseconds(0)
        var logged = 0
        var more = 0
    }

    private static let maximum = 10
    private static let period = TimeAmount.seconds(1)

    private let state = Guarded(State())

    /// - Parameter metadata: Facts about the request, without the key.
    func note(_ metadata: Logger.Metadata, _ logger: Logger, eventLoop: any EventLoop, now: NIODeadline = .now()) {
        enum Verdict { case log, count, countFirst }
        let verdict = state.withLock { state -> Verdict in
            if state.more == 0, now - state.second >= Self.period { state = State(second: now) }
            guard state.logged >= Self.maximum else {
                state.logged += 1
                return .log
            }
            state.more += 1
            return state.more == 1 ? .countFirst : .count
        }
        switch verdict {
        case .count: break
        case .log: logger.warning("a key was refused", metadata: metadata)
        case .countFirst: eventLoop.scheduleTask(in: Self.period) { self.logCount(logger) }
        }
    }

    private func logCount(_ logger: Logger) {
        let more = state.withLock { state in
            defer { state = State(second: .now()) }
            return state.more
        }
        var logger = logger
        // The count is of many requests, not of one.
        logger[metadataKey: "request"] = nil
        logger.warning("more keys were refused", metadata: ["count": "\(more)", "code": "unauthorized"])
    }
}
