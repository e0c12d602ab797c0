/// What this replica knows of one server of Redis: since when it has seen it alive, and what its clock says. A value: it is told of
/// replies and knows no socket. All times are milliseconds; local ones are of the monotonic clock.
///
/// A lease that has run out proves that its owner is lost only if the owner could have renewed it. So lost steps are left alone for a
/// pause after each time in which Redis was perhaps not there for the owner: nothing was heard of it, its clock jumped, or it refused.
struct NodeEvidence: Sendable, Equatable {
    /// The longest silence, and the longest jump of the clock, that an owner bears: it renews each third of a lease.
    let quietLimit: Int64
    let pause: Int64
    /// When the pause is over. The first reply begins one: what was before it is not known.
    private(set) var pauseEnd: Int64
    /// When Redis executed the latest command that this replica has a reply to.
    private(set) var lastAlive: Int64
    /// Redis's time minus the local one lies within.
    private var offset: ClosedRange<Int64>
    /// Until then there may be leases and hints that count by a clock that has been set back.
    private(set) var staleUntil: Int64 = .min

    /// Takes in the first reply; see ``heard(_:sent:received:)``.
    init(_ time: Int64, sent: Int64, received: Int64, quietLimit: Int64, pause: Int64) {
        (self.quietLimit, self.pause) = (quietLimit, pause)
        offset = Self.offset(time, sent, received)
        (lastAlive, pauseEnd) = (received, received + pause)
    }

    /// Takes in a reply.
    ///
    /// - Parameters:
    ///   - time: Redis's clock when it executed the command.
    ///   - sent: When the command was sent, or earlier.
    ///   - received: When the reply had come, or later.
    mutating func heard(_ time: Int64, sent: Int64, received: Int64) {
        let new = Self.offset(time, sent, received)
        // A reply that was long on its way proves little: Redis may have executed the command at any time since it was sent.
        if new.lowerBound > offset.upperBound + quietLimit { return jumped(to: new, received) }
        if new.upperBound < offset.lowerBound - quietLimit {
            staleUntil = max(staleUntil, received + (offset.upperBound - new.lowerBound) + pause)
            return jumped(to: new, received)
        }
        // Clocks drift: where both cannot be true, the newer one is.
        offset = new.overlaps(offset) ? new.clamped(to: offset) : new
        let alive = min(max(time - offset.lowerBound, sent), received)
        if alive - lastAlive > quietLimit { startPause(received) }
        lastAlive = max(lastAlive, alive)
    }

    private mutating func jumped(to new: ClosedRange<Int64>, _ received: Int64) {
        (offset, lastAlive) = (new, received)
        startPause(received)
    }

    /// Redis has answered that it does not serve: nor did it serve the owners.
    mutating func refused(at now: Int64) { startPause(now) }

    private mutating func startPause(_ now: Int64) { pauseEnd = max(pauseEnd, now + pause) }

    /// Whether a lease that has run out is a lost replica's.
    func isTrusted(at now: Int64) -> Bool { now >= pauseEnd && now - lastAlive <= quietLimit }

    /// Redis's time; rather too early than too late.
    func time(at now: Int64) -> Int64 { now + offset.lowerBound }

    /// Redis's milliseconds are cut off, not rounded.
    private static func offset(_ time: Int64, _ sent: Int64, _ received: Int64) -> ClosedRange<Int64> {
        (time - received)...(time + 1 - min(sent, received))
    }
}
