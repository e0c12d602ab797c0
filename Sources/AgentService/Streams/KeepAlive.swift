import Locks
public import ServiceLifecycle

/// Signals every silent stream that it lives: one task for all streams.
public final class KeepAlive: Service {
    private struct Entry {
        weak var stream: ClientStream?
    }

    /// Ticks per keep-alive period.
    private static let ticks = 15
    private let streams = Guarded<[ObjectIdentifier: Entry]>([:])
    private let period: Duration

    /// - Parameter period: The silence after which a stream is signaled, measured in fifteenths of
    ///   it.
    public init(period: Duration) {
        self.period = period
    }

    func add(_ stream: ClientStream) {
        streams.withLock { $0[ObjectIdentifier(stream)] = Entry(stream: stream) }
    }

    /// Writes keep-alives until the service group shuts down.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try await Task.sleep(for: self.period / Self.ticks)
                // The consumer of a stream releases it; the entries of released streams are dropped
                // here.
                let open = self.streams.withLock { streams in
                    streams = streams.filter { $0.value.stream != nil }
                    return streams.values.compactMap(\.stream)
                }
                for stream in open { stream.tick(silenceLimit: Self.ticks) }
            }
        }
    }
}
