import Locks
import Logging
import NIOCore

/// Asks the sentinels of a group for the master's address, one after the other. Connections that
/// ask at the same time share one inquiry.
final class SentinelLocator: RedisLocator {
    private struct State {
        var inquiry: SentinelInquiry
        var waiting: [EventLoopPromise<RedisConfiguration.Address>] = []
        var isAsking = false
        var onRejected: (@Sendable (RedisConfiguration.Address) -> Void)?
    }

    let roleCheck = RoleCheck.master
    private let group: SentinelGroup
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    private let state: Guarded<State>
    /// Each question uses a connection of its own. Its losses are not logged: the reply's error
    /// reports them.
    private let quiet = Logger(label: "sentinel") { _ in SwiftLogNoOpLogHandler() }

    init(_ group: SentinelGroup, configuration: RedisConfiguration, eventLoop: any EventLoop) {
        self.group = group
        self.configuration = configuration
        self.eventLoop = eventLoop
        state = Guarded(State(inquiry: SentinelInquiry(group)))
    }

    func locate(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Address> {
        let promise = eventLoop.makePromise(of: RedisConfiguration.Address.self)
        let first = state.withLock { state -> SentinelInquiry.Action? in
            state.waiting.append(promise)
            guard !state.isAsking else { return nil }
            state.isAsking = true
            return state.inquiry.begin()
        }
        if let first { perform(first) }
        return promise.futureResult
    }

    func rejected(_ address: RedisConfiguration.Address) {
        let onRejected = state.withLock { state in
            state.inquiry.rejected(address)
            return state.onRejected
        }
        onRejected?(address)
    }

    func demoted(_ address: RedisConfiguration.Address) -> Bool {
        rejected(address)
        return true
    }

    /// Sets the handler for each address that turns out not to be a master.
    func whenRejected(_ handler: @escaping @Sendable (RedisConfiguration.Address) -> Void) {
        state.withLock { $0.onRejected = handler }
    }

    private func perform(_ action: SentinelInquiry.Action) {
        switch action {
        case .ask(let sentinel): ask(sentinel)
        case .found(let address): finish(.success(address))
        case .fail(let problem): finish(.failure(RedisError(.connectionFailed, problem)))
        }
    }

    private func ask(_ sentinel: RedisConfiguration.Address) {
        let connection = RedisConnection(
            configuration: group.configuration(of: configuration, sentinel: sentinel), eventLoop: eventLoop, logger: quiet)
        connection.start()
        connection.submit(RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.masterName)) { [self] result in
            connection.shutDown()
            perform(state.withLock { $0.inquiry.answered(result) })
        }
    }

    private func finish(_ result: Result<RedisConfiguration.Address, any Error>) {
        let waiting = state.withLock { state in
            state.isAsking = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for promise in waiting { promise.completeWith(result) }
    }
}
