import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// Pages are limited in bytes.
@Suite("Pages of a history", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct HistoryPagingTests {
    /// Returns the number of messages of each page, for a history whose messages have these sizes.
    private func pages(_ sizes: [Int], bytes: Int = 1 << 20) -> [Int] {
        var paging = HistoryPaging(mostMessages: 2048, bytes: bytes)
        var counts: [Int] = []
        var rest = sizes[...]
        while !rest.isEmpty {
            let page = rest.prefix(paging.count)
            counts.append(page.count)
            paging.came(messages: page.count, bytes: page.reduce(0, +))
            rest = rest.dropFirst(page.count)
        }
        return counts
    }

    @Test("Small messages come in few pages")
    func smallMessagesComeInFewPages() {
        #expect(pages(Array(repeating: 200, count: 10_000)) == [4, 32, 256, 2048, 2048, 2048, 2048, 1516])
        #expect(pages([]) == [])
    }

    @Test("Large messages come one by one")
    func largeOnesComeOneByOne() {
        #expect(pages(Array(repeating: 4 << 20, count: 7)) == [4, 1, 1, 1])
        #expect(pages(Array(repeating: 500_000, count: 9)) == [4, 2, 2, 1])
        // After a large message, the pages grow again.
        #expect(pages([10, 10, 10, 4 << 20] + Array(repeating: 10, count: 300)) == [4, 1, 8, 64, 227])
    }

    /// The state does not count messages that were added by hand. The store measures the messages,
    /// and reads pages of this many bytes.
    @Test("A history that does not come with the lease comes in pages")
    func whatDoesNotComeWithTheLeaseComesInPages() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        for _ in 0..<40 { try await it.command("RPUSH", it.keys.history, String(repeating: "x", count: 200_000)) }
        let store = try await it.store()
        guard case .started(let started) = try await store.begin(.user("hello", in: it.session)) else {
            throw Unexpected(description: "not started")
        }
        #expect(started.history.isEmpty && started.historyLength == 43)
        var pages: [Int] = []
        try await store.readHistory(of: started) { page in pages.append(page.reduce(0) { $0 + $1.readableBytes }) }
        // The first page contains small messages among large ones, and decides the length of the
        // second page.
        let bytes = store.configuration.historyPageBytes
        #expect(pages.count > 7 && pages.dropFirst(2).allSatisfy { $0 <= bytes } && pages.allSatisfy { $0 <= 2 * bytes }, "\(pages)")
    }

    /// A client that asks for a thousand messages gets as many as fit, and the offset of the next
    /// message.
    @Test("A part of a history is bounded in bytes", arguments: SharedRedis.allCases)
    func aPartOfAHistoryHasABoundInBytes(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let sizes = (0..<60).map { [100, 3_000, 40_000, 150_000][$0 % 4] }
        for (index, size) in sizes.enumerated() {
            try await it.command("RPUSH", it.keys.history, "\(index) " + String(repeating: "x", count: size))
        }
        let store = try await it.store { $0.historyPageBytes = 200_000 }
        var read: [ByteBuffer] = []
        var answers = 0
        while read.count < sizes.count {
            let page = try #require(try await store.history(it.session, offset: read.count, limit: 1000))
            #expect(page.length == 60 && !page.messages.isEmpty)
            #expect(page.messages.count == 1 || page.messages.reduce(0) { $0 + $1.readableBytes } <= 200_000)
            read += page.messages
            answers += 1
            try #require(answers < 60)
        }
        let isSame = read.map { String(buffer: $0) } == (try await it.dump().history)
        #expect(isSame && answers >= 14)
    }

    @Test("A message larger than a part is read on its own")
    func aMessageThatIsLargerThanAPartIsRead() async throws {
        let it = try await ScriptSession()
        for size in [10, 500_000, 10] { try await it.command("RPUSH", it.keys.history, String(repeating: "x", count: size)) }
        let store = try await it.store { $0.historyPageBytes = 1000 }
        for (offset, sizes) in [(0, [10]), (1, [500_000]), (2, [10]), (3, [])] {
            let page = try #require(try await store.history(it.session, offset: offset, limit: 10))
            #expect(page.messages.map(\.readableBytes) == sizes)
        }
    }
}
