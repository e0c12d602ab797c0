/// How many messages the next page of a history is to have. A value: it is told what the last one brought.
///
/// Redis counts messages and not bytes. So the first page is small, and each later one follows the size of those before it.
struct HistoryPaging: Sendable {
    static let first = 4
    static let growth = 8

    private let mostMessages: Int
    private let bytes: Int
    private(set) var count: Int

    /// - Parameters:
    ///   - mostMessages: Of one page.
    ///   - bytes: That a page is to have about.
    init(mostMessages: Int, bytes: Int) {
        self.mostMessages = max(1, mostMessages)
        self.bytes = bytes
        count = min(Self.first, self.mostMessages)
    }

    /// A page has come.
    mutating func came(messages: Int, bytes came: Int) {
        let fitting = messages * bytes / max(came, 1)
        count = max(1, min(count * Self.growth, fitting, mostMessages))
    }
}
