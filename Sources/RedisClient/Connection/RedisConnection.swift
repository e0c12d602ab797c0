import Locks
public import Logging
public import NIOCore
import Synchronization

/// One pipelined connection to Redis, which reconnects after each loss. Safe to use from any
/// thread.
///
/// Commands go into a queue under a lock. The first command of a batch wakes the event loop once,
/// and the whole batch is one write and one flush. Replies come in the order of the commands.
public final class RedisConnection: Sendable {
    private struct Queue {
        var requests: [RedisRequest] = []
        var isDraining = false
        /// Commands and bytes that were submitted and have no result yet.
        var count = 0
        var bytes = 0
    }

    /// The event loop of the socket.
    public let eventLoop: any EventLoop
    private let configuration: RedisConfiguration
    private let queue = Guarded(Queue())
    private let core: NIOLoopBoundBox<RedisConnectionCore>
    private let status: RedisConnectionStatus

    /// Makes a connection that connects with ``start()``.
    ///
    /// - Parameters:
    ///   - configuration: The address of the server, and the bounds of the connection.
    ///   - eventLoop: The event loop of the socket.
    ///   - logger: For losses and refused writes.
    public convenience init(configuration: RedisConfiguration, eventLoop: any EventLoop, logger: Logger) {
        self.init(configuration: configuration, locator: nil, eventLoop: eventLoop, logger: logger)
    }

    /// - Parameter locator: Finds the address of the server; nil to use the configuration's.
    init(configuration: RedisConfiguration, locator: (any RedisLocator)?, eventLoop: any EventLoop, logger: Logger) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        status = RedisConnectionStatus()
        // The core is only ever touched on the event loop; making it here is safe since nobody else has it yet.
        core = .makeBoxSendingValue(
            RedisConnectionCore(configuration: configuration, locator: locator, eventLoop: eventLoop, status: status, logger: logger),
            eventLoop: eventLoop)
    }

    /// The number of connections made so far. After each change, knowledge about Redis's content
    /// may be stale.
    public var generation: UInt64 { status.generation.load(ordering: .acquiring) }
    /// The address of the latest connection, or of the first attempt to connect.
    public var address: RedisConfiguration.Address { status.address.withLock { $0 } ?? configuration.address }
    /// Whether the connection can be used now.
    public var isReady: Bool { status.isReady.load(ordering: .acquiring) }

    /// Connects, and reconnects after each loss until ``shutDown()``.
    public func start() { start(observer: nil) }

    /// - Parameter observer: Receives connections and messages. Not retained.
    func start(observer: (any RedisConnectionObserver)?) {
        eventLoop.execute {
            self.core.value.observer = observer
            self.core.value.start()
        }
    }

    /// Moves to the server at `address`. A connection to another server is closed, and its commands
    /// in flight fail.
    func follow(_ address: RedisConfiguration.Address) {
        eventLoop.execute { self.core.value.follow(address) }
    }

    /// Closes a connection to the server at `address`, which must not be used any more. Its
    /// commands in flight fail.
    func leave(_ address: RedisConfiguration.Address) {
        eventLoop.execute { self.core.value.leave(address) }
    }

    /// Closes the connection for good. Commands in flight fail with ``RedisError/Code/closed``.
    public func shutDown() { shutDown(telling: .shutDown) }

    /// - Parameter error: The error of the commands in flight.
    func shutDown(telling error: RedisError) {
        eventLoop.execute { self.core.value.shutDown(telling: error) }
    }

    // MARK: Callbacks

    /// Sends a command. Calls `completion` once, on the event loop.
    public func submit(_ command: RedisCommand, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        enqueue([request(command, completion: completion)])
    }

    /// Sends a command behind `ASKING`, in one write. Calls `completion` once, on the event loop.
    func submit(asking command: RedisCommand, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        enqueue([request(RedisCommand("ASKING")) { _ in }, request(command, completion: completion)])
    }

    /// Calls a script, and once more with its text if Redis does not have it cached. Calls
    /// `completion` once, on the event loop.
    public func submitEvaluate(_ call: RedisScriptCall, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void) {
        submit(call.command) { result in
            guard case .failure(let error) = result, error.code == .noScript else { return completion(result) }
            self.submit(call.withSource, completion: completion)
        }
    }

    // MARK: Tasks

    /// Sends a command and waits for its reply.
    ///
    /// - Throws: ``RedisError``, for an error reply too.
    public func send(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        guard let result = try await send(pipeline: [command]).first else { throw RedisError.neverSent }
        return try result.get()
    }

    /// Sends commands in one write and waits for all replies.
    ///
    /// - Returns: One result per command, in order. A command's own failure is in its result.
    /// - Throws: ``RedisError`` when the caller is cancelled.
    public func send(pipeline: [RedisCommand]) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        try await send(pipeline: pipeline, preceding: [])
    }

    /// - Parameter preceding: Commands that go before the others in the same write. Their replies
    ///   are ignored.
    private func send(
        pipeline: [RedisCommand], preceding: [RedisCommand]
    ) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        guard !pipeline.isEmpty else { return [] }
        let waiter = RedisWaiter(expected: pipeline.count)
        let results = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard waiter.wait(continuation) else { return }
                enqueue(preceding.map { request($0) { _ in } } + pipeline.map { request($0, waiter: waiter) { waiter.received($0) } })
            }
        } onCancel: {
            waiter.cancel()
        }
        if case .failure(let error)? = results.first, error.code == .cancelled { throw error }
        return results
    }

    /// Calls a script and waits for its reply.
    ///
    /// - Throws: ``RedisError``, for an error reply too.
    public func evaluate(_ call: RedisScriptCall) async throws(RedisError) -> RedisReply {
        guard let result = try await evaluate(call, following: []).first else { throw RedisError.neverSent }
        return try result.get()
    }

    /// Calls a script with other commands in the same write, and waits for the replies.
    ///
    /// - Returns: The script's result, then those of `following`. Replies to `preceding` are
    ///   ignored.
    package func evaluate(
        _ call: RedisScriptCall, preceding: [RedisCommand] = [], following: [RedisCommand]
    ) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        let results = try await send(pipeline: [call.command] + following, preceding: preceding)
        guard case .failure(let error)? = results.first, error.code == .noScript else { return results }
        return try await send(pipeline: [call.withSource] + following)
    }

    /// Calls a script behind other commands in the same write, and waits for all replies.
    ///
    /// - Returns: The results of `preceding`, the script's result, and those of `following`.
    package func evaluate(
        _ call: RedisScriptCall, behind preceding: [RedisCommand], following: [RedisCommand]
    ) async throws(RedisError) -> [Result<RedisReply, RedisError>] {
        let results = try await send(pipeline: preceding + [call.command] + following)
        guard results.count > preceding.count, case .failure(let error) = results[preceding.count], error.code == .noScript else {
            return results
        }
        return Array(results.prefix(preceding.count)) + (try await send(pipeline: [call.withSource] + following))
    }

    // MARK: Queue

    private func request(
        _ command: RedisCommand, waiter: RedisWaiter? = nil, completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) -> RedisRequest {
        RedisRequest(
            command: command, deadline: .now() + TimeAmount(configuration.commandTimeout), completion: completion, waiter: waiter)
    }

    private func enqueue(_ requests: [RedisRequest]) {
        let bytes = requests.reduce(0) { $0 + $1.command.byteCount }
        let (isAccepted, wakes) = queue.withLock { queue in
            guard queue.count + requests.count <= configuration.maxInFlight,
                queue.bytes + bytes <= configuration.maxInFlightBytes || queue.count == 0
            else { return (false, false) }
            queue.count += requests.count
            queue.bytes += bytes
            queue.requests += requests
            defer { queue.isDraining = true }
            return (true, !queue.isDraining)
        }
        if !isAccepted {
            // On the event loop like every other result, so that a callback never runs inside the call that gave it.
            eventLoop.execute {
                let error = RedisError(.overloaded, "more than \(self.configuration.maxInFlight) commands to Redis are under way")
                for request in requests { request.completion(.failure(error)) }
            }
        } else if wakes {
            eventLoop.execute { self.drain() }
        }
    }

    /// Passes the whole batch to the core.
    private func drain() {
        let requests = queue.withLock { queue in
            queue.isDraining = false
            defer { queue.requests = [] }
            return queue.requests
        }
        core.value.send(requests) { count, bytes in
            self.queue.withLock { queue in
                queue.count -= count
                queue.bytes -= bytes
            }
        }
    }
}

/// The state of a connection that other threads read.
final class RedisConnectionStatus: Sendable {
    let generation = Atomic<UInt64>(0)
    let isReady = Atomic<Bool>(false)
    /// Nil before the first connection.
    let address = Guarded<RedisConfiguration.Address?>(nil)
}
