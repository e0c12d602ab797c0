import Locks
public import ServiceLifecycle

/// Signals every silent stream that it lives, and ends those whose time is over: one task for all
/// streams.
public final class KeepAlive: Service {
    private struct Entry {
        weak var stream: ClientStream?
    }

    /// Ticks per keep-alive period, at least.
    private static let leastTicks = 15
    /// The longest tick: a stream's time is over at most this much earlier than it ends.
    private static let longestTick = Duration.seconds(1)
    private let streams = Guarded<[ObjectIdentifier: Entry]>([:])
    private let tick: Duration
    private let ticks: Int

    /// - Parameter period: The silence after which a stream is signaled, measured in fifteenths of
    ///   it, or in seconds if those are shorter.
    public init(period: Duration) {
        tick = min(period / Self.leastTicks, Self.longestTick)
        ticks = Int((period / tick).rounded(.up))
    }

    func add(_ stream: ClientStream) {
        streams.withLock { $0[ObjectIdentifier(stream)] = Entry(stream: stream) }
    }

    /// Writes keep-alives until the service group shuts down.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try await Task.sleep(for: self.tick)
                // The consumer of a stream releases it; the entries of released streams are dropped
                // here.
                let open = self.streams.withLock { streams in
                    streams = streams.filter { $0.value.stream != nil }
                    return streams.values.compactMap(\.stream)
                }
                for stream in open { stream.tick(silenceLimit: self.ticks) }
            }
        }
    }
}
