import NIOCore

/// The time limits of one response. The HTTP client has none for a whole response, and none that
/// changes once the model has finished.
struct ResponseClock: Sendable {
    enum Verdict: Sendable, Equatable {
        case wait(until: NIODeadline)
        /// Nothing has come for too long.
        case silent
        /// The whole response takes too long.
        case tooLong
    }

    private let idleTimeout: TimeAmount
    private let trailerTimeout: TimeAmount
    /// When the whole response must be there.
    private let end: NIODeadline
    private var lastActivity: NIODeadline
    /// When the rest must be there, once the model has finished.
    private var restDeadline: NIODeadline?

    init(_ configuration: UpstreamConfiguration, started: NIODeadline) {
        idleTimeout = configuration.idleTimeout
        trailerTimeout = min(configuration.trailerTimeout, configuration.idleTimeout)
        end = started + configuration.totalTimeout
        lastActivity = started
    }

    /// When the limits are to be checked for the first time.
    var firstCheck: NIODeadline { min(end, lastActivity + idleTimeout) }

    /// Notes that something has come.
    ///
    /// - Returns: When the limits are to be checked instead of at the time that was set; nil if
    ///   that time stays.
    mutating func note(_ progress: ResponseProgress, at now: NIODeadline) -> NIODeadline? {
        lastActivity = now
        switch progress {
        case .more:
            // More has come behind a reason to stop: the model still writes. The check that was set
            // finds the limits changed.
            restDeadline = nil
            return nil
        // Once at the finish and once at the end: a rest that trickles in takes no longer for it.
        case .trailers where restDeadline != nil: return nil
        case .trailers, .finished:
            restDeadline = now + trailerTimeout
            return restDeadline
        }
    }

    func verdict(at now: NIODeadline) -> Verdict {
        if now >= end { return .tooLong }
        let idle = restDeadline ?? lastActivity + idleTimeout
        return now >= idle ? .silent : .wait(until: min(end, idle))
    }
}
