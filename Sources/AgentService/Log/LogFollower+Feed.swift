import SessionStore

/// How a follower reads the log: on its own, or with the others.
extension LogFollower {
    /// A follower's membership of its session's feed.
    struct Chair {
        let feed: LogFeed
        let seat: LogFeed.Seat
        /// The number of the read that the client got last.
        var number: Int
    }

    func sit() -> Chair {
        let feed = feeds.join(session) { LogFeed(wakes: store.wakes(of: session)) }
        let seat = feed.sit(store.signal())
        // Weak: the stream may outlive the follower.
        stream.whenClosed { [weak feed] in feed?.interrupt(seat) }
        stopSignal.whenStopped { [weak feed] in feed?.interrupt(seat) }
        return Chair(feed: feed, seat: seat, number: .min)
    }

    func leave(_ chair: Chair) {
        chair.feed.leave(chair.seat)
        feeds.leave(session)
    }

    private var isWanted: Bool { stream.isLive && stopSignal.reason == nil && !Task.isCancelled }

    /// Reads the log behind the reader's position. If the session is another user's by now, the
    /// client sees no session.
    ///
    /// - Parameter timeout: How long to wait for news first; nil to read at once.
    /// - Returns: Nil when the log could not be read, or when the follower should stop.
    func look(_ reader: LogReader, _ chair: inout Chair?, timeout: Duration?) async -> LogLook? {
        guard let look = await unchecked(reader, &chair, timeout: timeout) else { return nil }
        return requester.reaches(session, ownedBy: look.view.subject) ? look : LogLook(reader, told: [], .absent)
    }

    private func unchecked(_ reader: LogReader, _ chair: inout Chair?, timeout: Duration?) async -> LogLook? {
        if let current = chair, let timeout {
            let news = await current.feed.next(
                after: reader, current.seat, number: current.number, timeout: timeout, isWanted: { isWanted },
                read: { await page(after: $0) })
            switch news {
            case .look(let look, let number):
                chair?.number = number
                if look.isPlain(before: reader) { return look }
            case .readYourself: break
            case .nothing: return nil
            }
        }
        if let feed = chair?.feed { chair?.number = feed.started }
        guard let view = await page(after: reader.position) else { return nil }
        return LogLook(reader, told: view.entries, view, isFull: view.entries.count == Self.page)
    }
}
