import Foundation
import Locks
import NIOPosix
import TestSupport
import Testing

@testable import RedisClient

/// Collects the messages of a listener.
private final class Heard: Sendable {
    private let signals = Guarded<[RedisSubscriber.Signal]>([])

    var all: [RedisSubscriber.Signal] { signals.withLock { $0 } }
    var messages: [String] { all.compactMap { if case .message(let text) = $0 { text } else { nil } } }
    var subscribed: Int { all.count { $0 == .subscribed } }
    var handler: RedisSubscriber.Handler {
        { signal in self.signals.withLock { $0.append(signal) } }
    }
}

@Suite("Subscriptions", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct RedisSubscriberTests {
    let redis: RedisServer

    init() async throws {
        redis = try await RedisServer.start()
    }

    func subscribers() throws -> Int { try redis.lines("CLIENT", "LIST", "TYPE", "pubsub").count { !$0.isEmpty } }
    func listeners(_ channel: String) throws -> String { try redis.lines("PUBSUB", "NUMSUB", channel).last ?? "" }

    @Test("Many listeners share one connection and one subscription")
    func manyListenersShareOneConnectionAndOneSubscription() async throws {
        let client = try await redis.client()
        defer { client.shutDown() }
        let heard = (0..<100).map { _ in Heard() }
        var subscriptions = heard.enumerated().map { index, heard in client.subscriber.subscribe("c-\(index % 10)", heard.handler) }
        try await eventually("all subscriptions stand") { heard.allSatisfy { $0.subscribed == 1 } }
        #expect(try subscribers() == 1)
        for channel in 0..<10 { #expect(try redis.cli("PUBLISH", "c-\(channel)", "to \(channel)") == "1") }
        try await eventually("all have heard") { heard.allSatisfy { !$0.messages.isEmpty } }
        for (index, heard) in heard.enumerated() { #expect(heard.all == [.subscribed, .message("to \(index % 10)")]) }

        // The subscription ends when the last listener of its channel leaves or is released.
        subscriptions.removeLast(95)
        try await eventually("the channels without listeners are left") { try (5..<10).allSatisfy { try listeners("c-\($0)") == "0" } }
        #expect(try listeners("c-0") == "1")
        subscriptions[0].cancel()
        subscriptions[0].cancel()
        try await eventually("the other one, too") { try listeners("c-0") == "0" }
        #expect(try listeners("c-2") == "1")
        try await redis.kill()
    }

    @Test("A later listener learns that the subscription exists")
    func aListenerThatComesLaterKnowsThatTheSubscriptionStands() async throws {
        let client = try await redis.client()
        defer { client.shutDown() }
        let (first, second) = (Heard(), Heard())
        let one = client.subscriber.subscribe("c", first.handler)
        try await eventually("it stands") { first.subscribed == 1 }
        let two = client.subscriber.subscribe("c", second.handler)
        #expect(second.all == [.subscribed])
        withExtendedLifetime((one, two)) {}
        try await redis.kill()
    }

    /// A lost connection loses messages, so that the new subscription signals once.
    @Test("The subscriber subscribes again after a loss and signals it")
    func subscribesAgainAfterALossAndSaysSo() async throws {
        let client = try await redis.client()
        defer { client.shutDown() }
        let heard = (0..<20).map { _ in Heard() }
        let subscriptions = heard.enumerated().map { index, heard in client.subscriber.subscribe("c-\(index)", heard.handler) }
        try await eventually("all subscriptions stand") { heard.allSatisfy { $0.subscribed == 1 } }
        #expect(try redis.cli("CLIENT", "KILL", "TYPE", "pubsub") == "1")
        try await eventually("all stand again") { heard.allSatisfy { $0.subscribed == 2 } }
        for index in 0..<20 { #expect(try redis.cli("PUBLISH", "c-\(index)", "x") == "1") }
        try await eventually("all have heard") { heard.allSatisfy { $0.messages == ["x"] } }
        #expect(try subscribers() == 1)
        withExtendedLifetime(subscriptions) {}
        try await redis.kill()
    }

    /// Listeners that left during the outage are not subscribed again.
    @Test("Subscriptions made during an outage take effect afterwards")
    func listensOnceRedisIsThere() async throws {
        let proxy = try await FaultyProxy.start(to: redis)
        let client = RedisConnectionPool(
            configuration: proxy.configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
        defer { client.shutDown() }
        #expect(await client.waitUntilReady(timeout: .seconds(20)))
        let (before, left, during) = (Heard(), Heard(), Heard())
        let one = client.subscriber.subscribe("before", before.handler)
        let two = client.subscriber.subscribe("left", left.handler)
        try await eventually("both stand") { before.subscribed == 1 && left.subscribed == 1 }
        proxy.refuse(true)
        try await proxy.cut()
        try await eventually("the loss is noticed") { !client.isReady }
        two.cancel()
        let three = client.subscriber.subscribe("during", during.handler)
        #expect(during.all.isEmpty)
        proxy.refuse(false)
        try await eventually("they stand") { before.subscribed == 2 && during.subscribed == 1 }
        #expect(left.all == [.subscribed])
        try await eventually("nobody listens to what was left") { try listeners("left") == "0" }
        withExtendedLifetime((one, three)) {}
        try await proxy.stop()
        try await redis.kill()
    }

    /// When the user gets the right, it receives messages.
    @Test("A user without the right gets no messages, and everything else works")
    func aUserWithoutTheRightHearsNothing() async throws {
        try redis.cli("ACL", "SETUSER", "mute", "on", ">secret", "~*", "resetchannels", "+@all")
        let log = LogCollector()
        let client = RedisConnectionPool(
            configuration: try RedisConfiguration(url: "redis://mute:secret@127.0.0.1:\(redis.port)"),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
        defer { client.shutDown() }
        #expect(await client.waitUntilReady(timeout: .seconds(20)))
        let heard = (0..<3).map { _ in Heard() }
        let subscriptions = heard.enumerated().map { index, heard in client.subscriber.subscribe("c-\(index)", heard.handler) }
        try await eventually("it is logged") { log.text.contains("may not subscribe") }
        #expect(try await client.connection(for: "k").send(RedisCommand("PING")).string == "PONG")
        #expect(heard.allSatisfy { $0.all.isEmpty })
        client.subscriber.check()
        try redis.cli("ACL", "SETUSER", "mute", "allchannels")
        try await eventually("it may now, and does") {
            client.subscriber.check()
            return heard.allSatisfy { $0.subscribed == 1 }
        }
        #expect(log.text.components(separatedBy: "may not subscribe").count == 2)
        withExtendedLifetime(subscriptions) {}
        try await redis.kill()
    }

    /// The connection delivers nothing any more, and reports no error.
    @Test("A dead connection is detected and replaced")
    func aDeadConnectionIsFoundOut() async throws {
        let proxy = try await FaultyProxy.start(to: redis)
        var configuration = proxy.configuration
        configuration.commandTimeout = .milliseconds(200)
        let client = RedisConnectionPool(
            configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
        defer { client.shutDown() }
        let heard = Heard()
        let subscription = client.subscriber.subscribe("c", heard.handler)
        try await eventually("it stands") { heard.subscribed >= 1 }
        let before = heard.subscribed
        proxy.inject(.swallowReply, on: "PING")
        client.subscriber.check()
        try await eventually("it stands again") { heard.subscribed > before }
        withExtendedLifetime(subscription) {}
        try await proxy.stop()
        try await redis.kill()
    }
}
