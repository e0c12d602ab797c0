import NIOCore

/// Decides which refusals leave a line: in a second at most ten of each address, and two hundred in
/// all. It counts the rest, for each address. A value that knows no clock.
///
/// The table is bounded: addresses beyond ``maximumAddresses`` in the same second share one entry.
struct RefusalTable: Sendable {
    struct Key: Hashable, Sendable {
        var event: AuditEvent
        var address: String
    }

    static let linesPerAddress = 10
    static let maximumLines = 200
    static let maximumAddresses = 256
    static let period = TimeAmount.seconds(1)
    /// The address of the shared entry.
    static let others = "others"

    private struct Entry {
        var lines = 0
        var more = 0
    }

    private var begun = NIODeadline.uptimeNanoseconds(0)
    private var entries: [Key: Entry] = [:]
    private var lines = 0
    private var hasCounts = false

    enum Verdict: Sendable {
        case line
        case counted
        /// The first that is counted: ``takeCounts(_:)`` is due after ``period``.
        case firstCounted
    }

    mutating func note(_ key: Key, now: NIODeadline) -> Verdict {
        // Counts wait until they are taken.
        if !hasCounts, now - begun >= Self.period { begin(now) }
        var key = key
        if entries[key] == nil, entries.count >= Self.maximumAddresses { key.address = Self.others }
        guard entries[key, default: Entry()].lines < Self.linesPerAddress, lines < Self.maximumLines else {
            entries[key, default: Entry()].more += 1
            defer { hasCounts = true }
            return hasCounts ? .counted : .firstCounted
        }
        entries[key, default: Entry()].lines += 1
        lines += 1
        return .line
    }

    /// Returns what was counted, and begins another second.
    mutating func takeCounts(_ now: NIODeadline) -> [(key: Key, count: Int)] {
        defer { begin(now) }
        return entries.filter { $0.value.more > 0 }.map { ($0.key, $0.value.more) }
    }

    private mutating func begin(_ now: NIODeadline) {
        self = RefusalTable()
        begun = now
    }
}
