import DequeModule
import Locks
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The part of a connection that lives on its event loop: it executes what ``RedisConnectionMachine``
/// decides, with a socket and a timer.
///
/// Not Sendable; ``RedisConnection`` holds it in a `NIOLoopBoundBox`.
final class RedisConnectionCore {
    typealias Release = @Sendable (_ count: Int, _ bytes: Int) -> Void

    private var machine: RedisConnectionMachine
    private let locator: (any RedisLocator)?
    private let eventLoop: any EventLoop
    private let status: RedisConnectionStatus
    private let logger: Logger
    weak var observer: (any RedisConnectionObserver)?
    /// The socket of the current connection. The machine learns nothing of the end of earlier ones.
    private var channel: (any Channel)?
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var release: Release?

    init(
        configuration: RedisConfiguration, locator: (any RedisLocator)?, eventLoop: any EventLoop, status: RedisConnectionStatus,
        logger: Logger
    ) {
        machine = RedisConnectionMachine(configuration: configuration)
        self.locator = locator
        self.eventLoop = eventLoop
        self.status = status
        self.logger = logger
    }

    private var configuration: RedisConfiguration { machine.configuration }

    func start() {
        perform(machine.start())
    }

    func shutDown(telling error: RedisError) {
        perform(machine.shutDown(error))
    }

    /// The server at `address` is not to be used any more.
    func leave(_ address: RedisConfiguration.Address) {
        perform(machine.leave(address))
        status.isReady.store(machine.isReady, ordering: .releasing)
    }

    /// The server is at `address` now.
    func follow(_ address: RedisConfiguration.Address) {
        perform(machine.follow(address))
        // An attempt that was to be made after a pause may succeed now.
        start()
    }

    // MARK: Commands

    func send(_ requests: [RedisRequest], release: @escaping Release) {
        self.release = release
        switch machine.admit(requests) {
        case .write: write(requests)
        case .wait: armTimer()
        case .fail(let error): for request in requests { complete(request, .failure(error)) }
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
                machine.written(request)
            } else {
                complete(request, .failure(.noMemory))
            }
        }
        guard output.readableBytes > 0 else { return }
        channel.writeAndFlush(output, promise: nil)
        armTimer()
    }

    private func complete(_ request: RedisRequest, _ result: Result<RedisReply, RedisError>) {
        release?(1, request.command.byteCount)
        request.completion(result)
    }

    // MARK: Events of the socket

    /// Called by the channel handler when bytes have arrived.
    func heard() {
        machine.heard(now: .now())
    }

    /// Called by the channel handler for every reply, in order.
    ///
    /// - Returns: False if the channel is not the connection's any more. A channel with TLS goes on
    ///   delivering for a while after it was closed, and a late reply must not meet a command that was
    ///   sent over its successor.
    func received(_ reply: RedisReply, on channel: any Channel) -> Bool {
        guard self.channel === channel else { return false }
        if let observer, let message = RedisMessage(reply, oldest: machine.inFlight.first?.command) {
            observer.received(message)
            return true
        }
        let result: Result<RedisReply, RedisError>
        if let message = reply.errorMessage {
            let error = RedisError(reply: message)
            if error.refusesWrites { configuration.refusals?.noticed(error, by: configuration.address) }
            result = .failure(error)
        } else {
            result = .success(reply)
        }
        perform(machine.received(result, now: .now()))
        return self.channel === channel
    }

    /// Called by the channel handler when the socket has ended or is unusable.
    func ended(_ error: RedisError, on channel: any Channel) {
        guard self.channel === channel else { return }
        perform(machine.lost(error))
    }

    // MARK: Actions

    private func perform(_ action: RedisConnectionMachine.ReplyAction) {
        switch action {
        case .none:
            break
        case .complete(let request, let result):
            complete(request, result)
            if case .failure(let error) = result, error.code == .readOnly { demoted(error) }
        case .completeLast(let request, let result, let loss):
            complete(request, result)
            perform(loss)
        case .connected(let waiting):
            status.address.withLock { $0 = configuration.address }
            status.generation.wrappingAdd(1, ordering: .acquiringAndReleasing)
            status.isReady.store(true, ordering: .releasing)
            write(waiting)
            observer?.connected()
        case .reject(let loss):
            locator?.rejected(configuration.address)
            if let loss { configuration.refusals?.noticed(loss.error, by: configuration.address) }
            perform(loss)
        case .lose(let loss):
            perform(loss)
        }
    }

    private func demoted(_ error: RedisError) {
        guard let locator, locator.demoted(configuration.address) else { return }
        perform(machine.demoted(error))
        status.isReady.store(machine.isReady, ordering: .releasing)
    }

    private func perform(_ loss: RedisConnectionMachine.Loss?) {
        guard let loss else { return }
        let channel = channel
        self.channel = nil
        status.isReady.store(false, ordering: .releasing)
        if loss.isLogged {
            logger.warning("redis: connection lost", metadata: ["redis": "\(configuration)", "error": "\(loss.error)"])
        }
        for request in loss.sent { complete(request, .failure(loss.error)) }
        for request in loss.unsent { complete(request, .failure(loss.refusal)) }
        perform(loss.reconnect)
        channel?.close(promise: nil)
    }

    private func perform(_ reconnect: RedisConnectionMachine.Reconnect) {
        switch reconnect {
        case .never:
            break
        case .now:
            connect()
        case .later(let doublings):
            let limit = min(configuration.reconnectBase * (1 << doublings), configuration.reconnectLimit)
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            eventLoop.scheduleTask(in: TimeAmount(limit * Double.random(in: 0...1))) { bound.value.start() }
        }
    }

    // MARK: Timeouts

    /// Arms one timer for all deadlines: it fires at the earliest, or before.
    private func armTimer() {
        guard let deadline = machine.nextDeadline else { return }
        // A handshake has less time than the commands that an armed timer may have been set for.
        guard timer == nil || deadline < timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleTask(deadline: deadline) {
            let core = bound.value
            core.timer = nil
            core.timeOut()
            core.armTimer()
        }
    }

    private func timeOut() {
        let (unsent, loss) = machine.timeOut(now: .now())
        for request in unsent {
            complete(request, .failure(RedisError(.timeout, "no connection to Redis could be made in time")))
        }
        guard let loss else { return }
        logger.warning("redis: closing a connection that does not answer", metadata: ["redis": "\(configuration)"])
        perform(loss)
    }

    // MARK: Connecting

    private func connect() {
        guard let locator else { return open() }
        locator.locate(on: eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let address):
                if self.machine.located(address) { self.open() }
            case .failure(let error):
                let lost = error as? RedisError ?? RedisError(.connectionFailed, "Redis's master is not found: \(error)")
                self.perform(self.machine.lost(lost))
            }
        }
    }

    private func open() {
        RedisChannelHandler.connect(for: self, configuration, on: eventLoop, logger: logger).whenComplete { result in
            switch result {
            case .success(let channel):
                self.opened(channel)
            case .failure(let error):
                let lost = RedisError(.connectionFailed, "no connection to Redis at \(self.configuration): \(error)")
                self.perform(self.machine.lost(lost))
            }
        }
    }

    private func opened(_ channel: any Channel) {
        guard let handshake = machine.opened(locator?.roleCheck ?? .none, now: .now()) else {
            channel.close(promise: nil)
            return
        }
        self.channel = channel
        var output = channel.allocator.buffer(capacity: 256)
        guard handshake.allSatisfy({ $0.encode(into: &output) }) else { return perform(machine.lost(.noMemory)) }
        channel.writeAndFlush(output, promise: nil)
        armTimer()
    }
}

extension RedisError {
    fileprivate static let noMemory = RedisError(.overloaded, "there is no memory for a command to Redis")
}
