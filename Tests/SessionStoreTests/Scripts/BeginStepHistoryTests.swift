import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// What `begin_step` returns of the history: all, what a replica has not read yet, or as much as the byte bound lets through.
@Suite struct BeginStepHistoryTests {
    /// A session whose history is `lengths.count` messages of these sizes, and then a user message.
    private func session(_ lengths: [Int]) async throws -> ScriptSession {
        let it = try await ScriptSession()
        for (index, length) in lengths.enumerated() {
            try await it.command("RPUSH", it.keys.history, String(repeating: String(index % 10), count: length))
        }
        return it
    }

    @Test(arguments: [
        ([], 1, 100), ([10, 10, 10], 3, 30), ([10, 10, 10], 2, 29), ([10, 10, 10], 1, 1), ([50, 10], 1, 20), ([10, 50, 10], 1, 59),
        ([10, 50, 10], 2, 60), ([0, 0, 10], 3, 10),
    ])
    func theByteBoundCutsBehindAWholeMessage(lengths: [Int], expected: Int, bound: Int) async throws {
        let it = try await session(lengths)
        let answer = try await it.begin { $0.historyBytes = bound }
        #expect(answer.reply[4]?.integer == Int64(lengths.count + 1))
        #expect(answer.messages == Array(try await it.dump().history.prefix(expected)))
    }

    /// The script reads 64 messages at a time.
    @Test(arguments: [62, 63, 64, 65, 127, 128, 200])
    func aLongHistoryIsReturnedWhole(count: Int) async throws {
        let it = try await session(Array(repeating: 3, count: count))
        let answer = try await it.begin()
        #expect(answer.messages.count == count + 1)
        let stored = try await it.dump().history
        #expect(answer.messages == stored)
    }

    @Test func onlyWhatIsNotKnownIsReturned() async throws {
        let (it, token) = try await ScriptSession.running()
        let epoch = try #require(try await it.dump().state["epoch"])
        _ = try await it.commit(token, 1)
        let second = LeaseToken().text
        func again(_ epoch: String, _ length: Int) async throws -> (from: Int64?, messages: [String]) {
            let answer = try await it.begin { ($0.token, $0.knownEpoch, $0.knownLength) = (second, epoch, length) }
            #expect(answer.name == "started")
            return (answer.reply[5]?.integer, answer.messages)
        }
        _ = try await again(epoch, 2)
        let history = try await it.dump().history
        #expect(history.count == 3)
        for known in 0...3 {
            let (from, messages) = try await again(epoch, known)
            #expect(from == Int64(known))
            #expect(messages == Array(history.dropFirst(known)))
        }
        // Longer than it is: a failover has taken the tail.
        #expect(try await again(epoch, 4).from == 0)
        #expect(try await again("another", 2).messages == history)
        #expect(try await again("", 2).messages == history)
    }

    @Test func aSessionBegunAnewHasAnotherEpoch() async throws {
        let (it, _) = try await ScriptSession.running()
        let first = try #require(try await it.dump().state["epoch"])
        #expect(first.utf8.count == 12)
        #expect(try await it.delete())
        let answer = try await it.begin { ($0.knownEpoch, $0.knownLength) = (first, 1) }
        #expect(answer.reply[3]?.string != first)
        #expect(answer.reply[5]?.integer == 0 && answer.messages.count == 1)
    }

    @Test func theEpochStaysWithTheList() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        let epoch = try await it.dump().state["epoch"]
        let answer = try await it.begin()
        #expect(answer.reply[3]?.string == epoch)
        #expect(try await it.dump().state["epoch"] == epoch)
    }

    /// The store reads with LRANGE what the script left out.
    @Test(arguments: [0, 1, 2, 255, 256, 257, 700])
    func theStoreReadsTheRest(count: Int) async throws {
        let it = try await session(Array(repeating: 5_000, count: count))
        let store = try await it.redis.store { $0.historyBytesPerScript = 20_000 }
        let outcome = try await store.begin(BeginStep(session: it.session, input: .user(.init(string: BeginStepTests.hello))))
        guard case .started(let started) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        let stored = try await it.dump().history
        #expect(try await store.history(of: started).map { String(buffer: $0) } == stored)
        #expect(started.historyLength == count + 1)
    }

    @Test func moreThanAMegabyteIsReturnedByTheStoreButNotByTheScript() async throws {
        let it = try await session(Array(repeating: 200_000, count: 12))
        let token = LeaseToken()
        let part = try await it.begin { $0.token = token.text }.messages
        #expect(part.count == 5)
        let store = try await it.redis.store()
        let begin = BeginStep(session: it.session, input: .user(.init(string: BeginStepTests.hello)), token: token)
        guard case .started(let started) = try await store.begin(begin) else {
            Issue.record("not started")
            return
        }
        let stored = try await it.dump().history
        // Not #expect over the lists themselves: a failure would print megabytes.
        let isSame = try await store.history(of: started).map { String(buffer: $0) } == stored
        #expect(isSame)
    }
}
