import Synchronization
import TestSupport
import Testing

@testable import RedisClient

/// `#expect` does not accept mutating calls on a value, but accepts them on an object.
private final class Table {
    private var table = SubscriptionTable()

    func add(to name: String) -> (listener: UInt64, due: SubscriptionTable.Attempt?, stands: Bool) { table.add({ _ in }, to: name) }
    func remove(_ listener: UInt64, from name: String) -> Bool { table.remove(listener, from: name) }
    func connected() -> [SubscriptionTable.Attempt] { table.connected() }
    func failed() -> [SubscriptionTable.Attempt] { table.failed() }
    func answered(_ attempt: SubscriptionTable.Attempt, succeeded: Bool) -> Int { table.answered(attempt, succeeded: succeeded).count }
    func listeners(of name: String) -> Int { table.listeners(of: name).count }
}

@Suite("The table of subscriptions")
struct SubscriptionTableTests {
    @Test("The first listener subscribes and the last one unsubscribes")
    func theFirstListenerSubscribesAndTheLastOneLeaves() throws {
        let table = Table()
        let first = table.add(to: "a")
        let due = try #require(first.due)
        #expect(due.channel == "a" && !first.stands)
        let second = table.add(to: "a")
        #expect(second.due == nil && !second.stands)
        #expect(table.answered(due, succeeded: true) == 2)
        let third = table.add(to: "a")
        #expect(third.due == nil && third.stands)
        #expect(!table.remove(first.listener, from: "a"))
        #expect(!table.remove(first.listener, from: "a"))
        #expect(!table.remove(third.listener, from: "a"))
        #expect(table.listeners(of: "a") == 1)
        #expect(table.remove(second.listener, from: "a"))
        #expect(table.listeners(of: "a") == 0 && table.connected().isEmpty)
    }

    /// A listener leaves and another joins while the first confirmation is in flight.
    @Test("A confirmation of an earlier attempt does not confirm a later one")
    func theAnswerToAnEarlierAttemptIsNotTakenForTheLaterOne() throws {
        let table = Table()
        let first = table.add(to: "a")
        #expect(table.remove(first.listener, from: "a"))
        let second = table.add(to: "a")
        #expect(table.answered(try #require(first.due), succeeded: true) == 0)
        #expect(!table.add(to: "a").stands)
        #expect(table.answered(try #require(second.due), succeeded: true) == 2)
    }

    @Test("A new connection subscribes to everything again")
    func aNewConnectionWantsEverythingAnew() throws {
        let table = Table()
        let due = ["a", "b", "c"].compactMap { table.add(to: $0).due }
        #expect(due.count == 3)
        for attempt in due { _ = table.answered(attempt, succeeded: attempt.channel != "c") }
        let failed = table.failed()
        #expect(failed.map(\.channel) == ["c"])
        // The command is in flight now.
        let none = table.failed()
        #expect(none.isEmpty)
        let again = table.connected()
        #expect(again.map(\.channel).sorted() == ["a", "b", "c"])
        #expect(!table.add(to: "a").stands)
        for attempt in due { #expect(table.answered(attempt, succeeded: true) == 0) }
        for attempt in again { #expect(table.answered(attempt, succeeded: true) > 0) }
        #expect(table.failed().isEmpty)
    }

    /// Listeners join and leave in any order.
    @Test("A channel is subscribed exactly while it has listeners", arguments: 0..<4)
    func theCommandsFollowTheListeners(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let table = Table()
        var listeners: [String: Set<UInt64>] = [:]
        var subscribed: Set<String> = []
        for _ in 0..<2_000 {
            let channel = ["a", "b", "c"].randomElement(using: &random) ?? "a"
            if Bool.random(using: &random) {
                let added = table.add(to: channel)
                listeners[channel, default: []].insert(added.listener)
                if added.due != nil { #expect(subscribed.insert(channel).inserted, "seed \(seed)") }
            } else if let listener = listeners[channel]?.sorted().randomElement(using: &random) {
                listeners[channel]?.remove(listener)
                if table.remove(listener, from: channel) { #expect(subscribed.remove(channel) != nil, "seed \(seed)") }
            }
            #expect(subscribed == Set(listeners.filter { !$0.value.isEmpty }.keys), "seed \(seed)")
        }
    }
}
