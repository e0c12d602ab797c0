/// Bounds the bytes of histories that a replica holds at the same time: those read from Redis, and
/// those in requests to which the model's server has not begun to respond.
///
/// Three bounds divide one limit. Small histories do not wait behind large ones, and clients that
/// read histories take no room from turns.
package struct HistoryBudgets: Sendable {
    /// The greatest size of a small history.
    static let smallBytes = 64 << 10

    let small: ByteBudget
    let large: ByteBudget
    /// For clients that read a history.
    package let reads: ByteBudget

    package init(limit: Int) {
        small = ByteBudget(limit: limit / 4)
        reads = ByteBudget(limit: limit / 4)
        large = ByteBudget(limit: limit - 2 * (limit / 4))
    }

    func turns(bytes: Int) -> ByteBudget { bytes <= Self.smallBytes ? small : large }

    /// Returns the bytes that a history takes: its pages, and the request that they are written
    /// into.
    static func held(_ bytes: Int) -> Int { 2 * bytes }

    /// Whether a turn waits for room.
    var areCrowded: Bool { small.isCrowded || large.isCrowded }

    /// The bytes that are held now, and those released since the replica started.
    package var used: Int { small.used + large.used + reads.used }
    package var released: Int { small.released + large.released + reads.released }
}
