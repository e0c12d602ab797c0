import Synchronization

/// Knows whether Redis was away a moment ago. Then leases have run out whose replicas live, and these must renew before anybody takes
/// over (I6). A new replica cannot know, and waits as well.
///
/// It goes by the connections: one that was made anew counts as an outage of all, which costs a pause and nothing else.
final class OutageWatch: Sendable {
    private struct State {
        var generation: UInt64?
        var end = ContinuousClock.now
    }

    private let state = Mutex(State())
    private let pause: Duration

    init(pause: Duration) {
        self.pause = pause
    }

    func isOver(_ client: RedisClient) -> Bool {
        let (isReady, generation) = (client.isReady, client.generation)
        return state.withLock { state in
            let now = ContinuousClock.now
            if !isReady || generation != state.generation {
                state.generation = generation
                state.end = now + pause
            }
            return now >= state.end
        }
    }
}
