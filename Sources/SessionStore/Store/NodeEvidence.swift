/// What this replica knows of one server of Redis: since when it has seen the server alive, and
/// what the server's clock says. A value: its user reports replies, and it knows no socket. All
/// times are milliseconds; local ones are of the monotonic clock.
///
/// A lease that has run out proves that its owner is lost only if the owner could have renewed it.
/// So lost steps are left alone for a pause after each time in which Redis perhaps did not serve
/// the owner: the server was silent, its clock jumped, or it refused.
struct NodeEvidence: Sendable, Equatable {
    /// The longest silence, and the longest jump of the clock, that an owner survives: it renews
    /// each third of a lease.
    let quietLimit: Int64
    let pause: Int64
    /// When the pause ends. The first reply begins one: nothing is known of the time before.
    private(set) var pauseEnd: Int64
    /// When Redis executed the latest command that this replica has a reply to.
    private(set) var lastAlive: Int64
    /// The range that holds the difference of Redis's time and the local time.
    private var offset: ClosedRange<Int64>
    /// Until then, leases and hints may exist that count by a clock that has been set back.
    private(set) var staleUntil: Int64 = .min

    /// Records the first reply; see ``heard(_:sent:received:)``.
    init(_ time: Int64, sent: Int64, received: Int64, quietLimit: Int64, pause: Int64) {
        (self.quietLimit, self.pause) = (quietLimit, pause)
        offset = Self.offset(time, sent, received)
        (lastAlive, pauseEnd) = (received, received + pause)
    }

    /// Records a reply.
    ///
    /// - Parameters:
    ///   - time: Redis's clock when it executed the command.
    ///   - sent: When the command was sent, or earlier.
    ///   - received: When the reply had come, or later.
    mutating func heard(_ time: Int64, sent: Int64, received: Int64) {
        let new = Self.offset(time, sent, received)
        // A reply that took long proves little: Redis may have executed the command at any time
        // since it was sent.
        if new.lowerBound > offset.upperBound + quietLimit { return jumped(to: new, received) }
        if new.upperBound < offset.lowerBound - quietLimit {
            staleUntil = max(staleUntil, received + (offset.upperBound - new.lowerBound) + pause)
            return jumped(to: new, received)
        }
        // Clocks drift: if both cannot be true, the newer one is.
        offset = new.overlaps(offset) ? new.clamped(to: offset) : new
        let alive = min(max(time - offset.lowerBound, sent), received)
        if alive - lastAlive > quietLimit { startPause(received) }
        lastAlive = max(lastAlive, alive)
    }

    private mutating func jumped(to new: ClosedRange<Int64>, _ received: Int64) {
        (offset, lastAlive) = (new, received)
        startPause(received)
    }

    /// Records that Redis replied that it does not serve. It did not serve the owners either.
    mutating func refused(at now: Int64) { startPause(now) }

    private mutating func startPause(_ now: Int64) { pauseEnd = max(pauseEnd, now + pause) }

    /// Returns whether a lease that has run out proves that its replica is lost.
    func isTrusted(at now: Int64) -> Bool { now >= pauseEnd && now - lastAlive <= quietLimit }

    /// Returns Redis's time; rather too early than too late.
    func time(at now: Int64) -> Int64 { now + offset.lowerBound }

    /// Returns the range of the difference of the clocks. Redis's milliseconds are cut off, not
    /// rounded.
    private static func offset(_ time: Int64, _ sent: Int64, _ received: Int64) -> ClosedRange<Int64> {
        (time - received)...(time + 1 - min(sent, received))
    }
}
