import Locks

@testable import RedisClient

/// The results of callbacks, by the command's number.
final class Outcomes: Sendable {
    private let results: Guarded<[[Result<RedisReply, RedisError>]]>

    init(_ count: Int) {
        results = Guarded(Array(repeating: [], count: count))
    }

    /// Returns a callback for command `index`.
    func callback(_ index: Int) -> @Sendable (Result<RedisReply, RedisError>) -> Void {
        { result in self.results.withLock { $0[index].append(result) } }
    }

    var all: [[Result<RedisReply, RedisError>]] { results.withLock { $0 } }
    var count: Int { all.reduce(0) { $0 + $1.count } }

    var errors: [RedisError] {
        all.joined().compactMap { if case .failure(let error) = $0 { error } else { nil } }
    }
    var replies: [RedisReply] {
        all.joined().compactMap { try? $0.get() }
    }
}
