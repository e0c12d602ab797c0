import Foundation
import Locks

/// The principals of tokens that were verified, by the tokens' digests: a signature costs 24 to 122
/// µs, and a client sends its token with each request.
final class TokenCache: Sendable {
    /// Tokens that are kept: with 400 bytes each, 3 MiB. A replica has no more users at the same
    /// time than streams, and the tokens of the others are verified again.
    static let capacity = 8192

    private struct Entry {
        var principal: Principal
        /// When the token is not accepted any more.
        var end: Date
    }

    /// Tokens that were used lately, and those before them. A full half replaces the other one, so
    /// that an entry costs no search for the oldest.
    private struct State {
        var young: [KeyDigest: Entry] = [:]
        var old: [KeyDigest: Entry] = [:]

        mutating func insert(_ entry: Entry, _ digest: KeyDigest) {
            if young.count >= TokenCache.capacity / 2 {
                old = young
                young = [:]
            }
            young[digest] = entry
        }
    }

    private let state = Guarded(State())

    /// Returns the principal of a token; nil for one that was not verified, or has ended.
    func principal(_ digest: KeyDigest, at now: Date) -> Principal? {
        state.withLock { state in
            if let entry = state.young[digest] { return now < entry.end ? entry.principal : nil }
            guard let entry = state.old.removeValue(forKey: digest), now < entry.end else { return nil }
            state.insert(entry, digest)
            return entry.principal
        }
    }

    func insert(_ principal: Principal, _ digest: KeyDigest, until end: Date) {
        state.withLock { $0.insert(Entry(principal: principal, end: end), digest) }
    }

    var count: Int { state.withLock { $0.young.count + $0.old.count } }
}
