/// What a replica holds of histories at the same time: read from Redis, and in requests that the model's server has not begun to answer.
///
/// Three bounds, which are one together. Small histories do not wait behind large ones, and clients that read histories take nothing from
/// turns.
public struct HistoryBudgets: Sendable {
    /// A history with no more bytes is a small one.
    static let smallBytes = 64 << 10

    let small: ByteBudget
    let large: ByteBudget
    /// For clients that read a history.
    public let reads: ByteBudget

    public init(limit: Int) {
        small = ByteBudget(limit: limit / 4)
        reads = ByteBudget(limit: limit / 4)
        large = ByteBudget(limit: limit - 2 * (limit / 4))
    }

    func turns(bytes: Int) -> ByteBudget { bytes <= Self.smallBytes ? small : large }

    /// What a history takes: its pages, and the request that they are written into.
    static func held(_ bytes: Int) -> Int { 2 * bytes }

    /// Whether some turn waits for room.
    var areCrowded: Bool { small.isCrowded || large.isCrowded }

    /// Bytes that are held, and that were given back since the beginning.
    public var used: Int { small.used + large.used + reads.used }
    public var released: Int { small.released + large.released + reads.released }
}
