/// How many messages the next page of a history has. A value: its user reports what the last page
/// brought.
///
/// Redis counts messages and not bytes. So the first page is small, and each later one follows the
/// size of those before it.
struct HistoryPaging: Sendable {
    static let first = 4
    static let growth = 8

    private let mostMessages: Int
    private let bytes: Int
    private(set) var count: Int

    /// - Parameters:
    ///   - mostMessages: Of one page.
    ///   - bytes: About how many bytes a page brings.
    init(mostMessages: Int, bytes: Int) {
        self.mostMessages = max(1, mostMessages)
        self.bytes = bytes
        count = min(Self.first, self.mostMessages)
    }

    /// Records the size of a page.
    mutating func came(messages: Int, bytes came: Int) {
        let fitting = messages * bytes / max(came, 1)
        count = max(1, min(count * Self.growth, fitting, mostMessages))
    }
}
