import Synchronization

/// An estimate of Redis's clock, the only one that the protocol goes by. Every script's answer corrects it, so it survives a
/// local clock that jumps (it counts from the monotonic one) and, within one answer, a Redis clock that does.
final class RedisClock: Sendable {
    private let start = ContinuousClock.now
    /// Redis's milliseconds minus local ones; `Int64.min` before the first answer.
    private let offset = Atomic<Int64>(.min)

    private var local: Int64 { start.duration(to: .now).milliseconds }

    func correct(_ redisMilliseconds: Int64) {
        offset.store(redisMilliseconds - local, ordering: .relaxed)
    }

    /// Milliseconds since 1970; nil before the first answer.
    var now: Int64? {
        let offset = offset.load(ordering: .relaxed)
        return offset == .min ? nil : local + offset
    }
}
