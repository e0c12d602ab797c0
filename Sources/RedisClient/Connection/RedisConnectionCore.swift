import DequeModule
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The part of a connection that lives on its event loop: the socket, the commands in flight, and the timers.
///
/// Not Sendable; ``RedisConnection`` holds it in a `NIOLoopBound`.
final class RedisConnectionCore {
    typealias Release = @Sendable (_ count: Int, _ bytes: Int) -> Void

    /// Its address is the server's that was found last.
    private var configuration: RedisConfiguration
    private let locator: (any RedisLocator)?
    private let eventLoop: any EventLoop
    private let status: RedisConnectionStatus
    private let logger: Logger
    weak var observer: (any RedisConnectionObserver)?
    private var machine = RedisConnectionMachine()
    private var channel: (any Channel)?
    /// Written, in the order in which their replies come.
    private var inFlight: Deque<RedisRequest> = []
    /// Waiting for the connection that is being made.
    private var waiting: Deque<RedisRequest> = []
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    /// Where silence is timed: when bytes came last, and when a whole reply did.
    private var lastBytes = NIODeadline.uptimeNanoseconds(0)
    private var lastReply = NIODeadline.uptimeNanoseconds(0)
    private var release: Release?
    private var hasWarned = false
    /// Why there is no connection.
    private var lastLoss: RedisError?
    /// Why the connection is given up as soon as what was sent is answered.
    private var leaving: RedisError?

    init(
        configuration: RedisConfiguration, locator: (any RedisLocator)?, eventLoop: any EventLoop, status: RedisConnectionStatus,
        logger: Logger
    ) {
        self.configuration = configuration
        self.locator = locator
        self.eventLoop = eventLoop
        self.status = status
        self.logger = logger
    }

    func start() {
        perform(machine.start())
    }

    func shutDown(telling error: RedisError) {
        machine.shutDown()
        status.isReady.store(false, ordering: .releasing)
        // Let go of it first: its end is no loss then.
        let channel = channel
        self.channel = nil
        channel?.close(promise: nil)
        fail(error)
    }

    // MARK: Commands

    func send(_ requests: [RedisRequest], release: @escaping Release) {
        self.release = release
        switch machine.admit() {
        case .send where leaving == nil:
            write(requests)
        case .send, .wait:
            waiting.append(contentsOf: requests)
            armTimer()
        case .fail(let code):
            let error = RedisError(
                code, "there is no connection to Redis at \(configuration)" + (lastLoss.map { ": \($0)" } ?? ""))
            for request in requests { complete(request, .failure(error)) }
        }
    }

    private func write(_ requests: some Collection<RedisRequest>) {
        guard let channel else {
            for request in requests { complete(request, .failure(RedisError(.connectionLost, "there is no connection to Redis"))) }
            return
        }
        var output = channel.allocator.buffer(capacity: requests.reduce(0) { $0 + $1.command.byteCount + 32 })
        for request in requests {
            if let waiter = request.waiter, !waiter.claim() {
                complete(request, .failure(RedisError.neverSent))
            } else if request.command.encode(into: &output) {
                inFlight.append(request)
            } else {
                complete(request, .failure(RedisError(.overloaded, "there is no memory for a command to Redis")))
            }
        }
        guard output.readableBytes > 0 else { return }
        channel.writeAndFlush(output, promise: nil)
        armTimer()
    }

    /// Called by the channel handler when bytes have come.
    func heard() {
        if configuration.timesSilence { lastBytes = .now() }
    }

    /// Called by the channel handler for every reply, in order.
    ///
    /// - Returns: False when the channel is not the connection's any more. One with TLS goes on delivering for a while after it was closed,
    ///   and a late reply must not meet a command that was sent over its successor.
    func received(_ reply: RedisReply, on channel: any Channel) -> Bool {
        guard self.channel === channel else { return false }
        if let observer, let message = RedisMessage(reply, oldest: inFlight.first?.command) {
            observer.received(message)
            return true
        }
        if configuration.timesSilence { lastReply = .now() }
        guard let request = inFlight.popFirst() else {
            lost(RedisError(.protocolViolation, "Redis sent a reply that nobody waits for", mayHaveBeenApplied: true))
            channel.close(promise: nil)
            return false
        }
        guard let message = reply.errorMessage else {
            complete(request, .success(reply))
            return leaveIfAnswered(channel)
        }
        let error = RedisError(reply: message)
        if error.refusesWrites { configuration.refusals?.noticed(error, by: configuration.address) }
        complete(request, .failure(error))
        if error.code == .readOnly, let locator, locator.demoted(configuration.address) { leave(telling: error) }
        return leaveIfAnswered(channel)
    }

    /// The server was demoted. It answers what it was sent, and refuses what writes; what has not
    /// been sent waits for the new master.
    private func leave(telling error: RedisError) {
        leaving = error
        status.isReady.store(false, ordering: .releasing)
    }

    /// - Returns: False when that was the last answer, and the channel is not the connection's any
    /// more.
    private func leaveIfAnswered(_ channel: any Channel) -> Bool {
        guard let leaving, inFlight.isEmpty else { return true }
        return giveUp(leaving, on: channel)
    }

    /// - Returns: False: the channel is not the connection's any more.
    private func giveUp(_ error: RedisError, on channel: any Channel) -> Bool {
        var error = error
        error.mayHaveBeenApplied = true
        lost(error)
        channel.close(promise: nil)
        return false
    }

    /// The server at `address` is not to be used any more.
    func leave(_ address: RedisConfiguration.Address) {
        guard let channel, configuration.address == address else { return }
        let error = RedisError(.connectionLost, "Redis at \(address) is no master any more")
        if machine.state == .ready { leave(telling: error) }
        if leaving == nil || inFlight.isEmpty { _ = giveUp(error, on: channel) }
    }

    /// The server is at `address` now.
    func follow(_ address: RedisConfiguration.Address) {
        if let channel, configuration.address != address {
            _ = giveUp(RedisError(.connectionLost, "Redis's master is at \(address) now, not at \(configuration.address)"), on: channel)
        } else if channel == nil {
            // What was to be tried after a pause may succeed now.
            start()
        }
    }

    private func complete(_ request: RedisRequest, _ result: Result<RedisReply, RedisError>) {
        if !request.isInternal { release?(1, request.command.byteCount) }
        request.completion(result)
    }

    private func fail(_ error: RedisError) {
        let (sent, unsent) = (inFlight, waiting)
        inFlight = []
        waiting = []
        for request in sent { complete(request, .failure(error)) }
        var never = error
        never.mayHaveBeenApplied = false
        for request in unsent { complete(request, .failure(never)) }
    }

    // MARK: Timeouts

    /// When the oldest command has gone unanswered for too long.
    private var oldestDeadline: NIODeadline? {
        guard let oldest = inFlight.first else { return nil }
        guard configuration.timesSilence, !oldest.isInternal else { return oldest.deadline }
        // What came since it was sent is a part of its reply, or was in front of it.
        let timeout = TimeAmount(configuration.commandTimeout)
        let begun = max(lastReply, oldest.deadline - timeout)
        let longest = begun + .nanoseconds(timeout.nanoseconds * Int64(RedisConfiguration.mostSilences))
        return max(oldest.deadline, min(lastBytes + timeout, longest))
    }

    /// One timer for all: it goes off at the oldest command's deadline, or earlier.
    private func armTimer() {
        guard let deadline = [oldestDeadline, waiting.first?.deadline].compactMap({ $0 }).min() else { return }
        // A handshake has less time than the commands that an armed timer may have been set for.
        guard timer == nil || deadline < timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleTask(deadline: deadline) {
            let core = bound.value
            core.timer = nil
            core.timeOut(now: .now())
            core.armTimer()
        }
    }

    private func timeOut(now: NIODeadline) {
        while let request = waiting.first, request.deadline <= now {
            waiting.removeFirst()
            complete(request, .failure(RedisError(.timeout, "no connection to Redis could be made in time")))
        }
        guard let oldest = inFlight.first, let deadline = oldestDeadline, deadline <= now else { return }
        // A late reply must never meet the next command, so the connection goes.
        let timeout = oldest.isInternal ? configuration.connectTimeout : configuration.commandTimeout
        let error = RedisError(.timeout, "Redis did not answer within \(timeout.milliseconds) ms", mayHaveBeenApplied: true)
        logger.warning("redis: closing a connection that does not answer", metadata: ["redis": "\(configuration)"])
        let channel = channel
        lost(error)
        channel?.close(promise: nil)
    }

    // MARK: Connecting

    private func perform(_ action: RedisConnectionMachine.Action) {
        switch action {
        case .none:
            break
        case .connect:
            connect()
        case .connectLater(let doublings):
            let limit = min(configuration.reconnectBase * (1 << doublings), configuration.reconnectLimit)
            let pause = limit * Double.random(in: 0...1)
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            eventLoop.scheduleTask(in: TimeAmount(pause)) { bound.value.start() }
        case .sendWaiting:
            hasWarned = false
            status.address.withLock { $0 = configuration.address }
            status.generation.wrappingAdd(1, ordering: .acquiringAndReleasing)
            status.isReady.store(true, ordering: .releasing)
            let requests = waiting
            waiting = []
            write(requests)
            observer?.connected()
        }
    }

    private func connect() {
        guard let locator else { return open() }
        locator.locate(on: eventLoop).assumeIsolated().whenComplete { result in
            guard case .connecting = self.machine.state else { return }
            switch result {
            case .success(let address):
                self.configuration.address = address
                self.open()
            case .failure(let error):
                self.lost(error as? RedisError ?? RedisError(.connectionFailed, "Redis's master is not found: \(error)"))
            }
        }
    }

    private func open() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let (configuration, logger) = (configuration, logger)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if configuration.usesTLS { try operations.addHandler(configuration.sharedTLS.handler(configuration)) }
                    let decoder = try RedisReplyDecoder(maxBytes: configuration.maxReplyBytes, maxNodes: configuration.maxReplyNodes)
                    try operations.addHandler(RedisChannelHandler(decoder: decoder, core: bound.value, logger: logger))
                }
            }
        let future =
            switch configuration.address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        future.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.opened(channel)
            case .failure(let error): self.lost(RedisError(.connectionFailed, "no connection to Redis at \(configuration): \(error)"))
            }
        }
    }

    /// The socket is open: authenticates, selects the database, and asks whether Redis serves.
    private func opened(_ channel: any Channel) {
        guard case .connecting = machine.state else {
            channel.close(promise: nil)
            return
        }
        self.channel = channel
        let roleCheck = locator?.roleCheck ?? .none
        let commands = RedisHandshake.commands(configuration, roleCheck)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let last = commands.count - 1
        let deadline = NIODeadline.now() + TimeAmount(configuration.connectTimeout)
        let requests = commands.enumerated().map { index, command in
            RedisRequest(
                command: command, deadline: deadline,
                completion: { result in
                    bound.value.answeredHandshake(result, to: command.name, roleCheck, isLast: index == last, channel: channel)
                },
                waiter: nil, isInternal: true)
        }
        write(requests)
    }

    private func answeredHandshake(
        _ result: Result<RedisReply, RedisError>, to command: String, _ roleCheck: RoleCheck, isLast: Bool, channel: any Channel
    ) {
        guard self.channel === channel, case .connecting = machine.state else { return }
        switch result {
        case .success(let reply) where command == "ROLE" && reply[0]?.string != "master":
            locator?.rejected(configuration.address)
            let error = RedisError(.readOnly, "Redis at \(configuration.address) is no master, but \(reply)")
            configuration.refusals?.noticed(error, by: configuration.address)
            lost(error)
            channel.close(promise: nil)
        case .failure(let error) where !RedisHandshake.bears(error, of: command, roleCheck):
            lost(error)
            channel.close(promise: nil)
        case .success, .failure:
            if isLast { perform(machine.connected()) }
        }
    }

    /// Called by the channel handler when the socket is gone or unusable.
    func ended(_ error: RedisError, on channel: any Channel) {
        guard self.channel === channel else { return }
        lost(error)
    }

    private func lost(_ error: RedisError) {
        channel = nil
        leaving = nil
        lastLoss = error
        status.isReady.store(false, ordering: .releasing)
        let wasReady = machine.state == .ready
        let action = machine.lost()
        if !hasWarned {
            hasWarned = !wasReady
            logger.warning("redis: connection lost", metadata: ["redis": "\(configuration)", "error": "\(error)"])
        }
        let sent = inFlight
        inFlight = []
        for request in sent { complete(request, .failure(error)) }
        if case .fail = machine.admit() {
            let unsent = waiting
            waiting = []
            let refused = RedisError(.connectionFailed, "there is no connection to Redis at \(configuration): \(error)")
            for request in unsent { complete(request, .failure(refused)) }
        }
        perform(action)
    }
}
