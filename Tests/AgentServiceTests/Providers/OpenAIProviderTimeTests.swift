import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import AgentService

/// Clocks, slow consumers and cancellation. One after the other, so that they do not make each other slow.
@Suite(.serialized, .timeLimit(.minutes(2))) struct OpenAIProviderTimeTests {
    static let token = OpenAIProviderFailureTests.token

    // MARK: Time limits

    @Test func silenceBeforeTheHeadIsATimeout() async throws {
        let upstream = try await RawUpstream.start { _ in [.gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await withProvider(upstream.url) {
            $0.idleTimeout = .milliseconds(100)
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .timeout)
        #expect(decoded.message.contains("100 ms"))
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    @Test func silenceInTheMiddleIsATimeout() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await withProvider(upstream.url) {
            $0.idleTimeout = .milliseconds(500)
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .timeout)
        #expect(decoded.events == [.token("so far")])
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    /// Every part of the body begins the silence anew: together they may take longer.
    @Test func anAnswerThatKeepsComingIsNotSilent() async throws {
        var answer = UpstreamAnswer()
        for _ in 0..<10 {
            answer.add(delta: ["content": "x"])
            answer.parts.append(.pause(.milliseconds(220)))
        }
        answer.end(finish: "stop")
        let upstream = try await Upstream.start { [answer] _ in answer }
        defer { upstream.stop() }
        let begun = ContinuousClock.now
        let decoded = try await withProvider(upstream.url) {
            $0.idleTimeout = .seconds(2)
        } _: {
            try await $0.collect()
        }
        #expect(ContinuousClock.now - begun > .seconds(2))
        #expect(decoded.error == nil)
        #expect(decoded.text == "xxxxxxxxxx")
    }

    @Test func aWholeGenerationHasALimit() async throws {
        var answer = UpstreamAnswer()
        for _ in 0..<2000 {
            answer.add(delta: ["content": "x"])
            answer.parts.append(.pause(.milliseconds(10)))
        }
        let upstream = try await Upstream.start { [answer] _ in answer }
        defer { upstream.stop() }
        let decoded = try await withProvider(upstream.url) {
            $0.totalTimeout = .seconds(1)
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .timeout)
        #expect(decoded.message.contains("1000 ms"))
        #expect(!decoded.text.isEmpty)
        try await eventually("the upstream learns of it") { upstream.openAnswers == 0 }
        #expect(upstream.closedEarly == 1)
    }

    /// A server that does not end its stream after the model has finished is not waited for.
    @Test(arguments: ["", "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"])
    func theEndOfTheStreamIsNotWaitedForLong(usage: String) async throws {
        let body = Self.token + OpenAIProviderFailureTests.reason + usage
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + body), .gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await within(.seconds(15), "the end of the stream") {
            try await withProvider(upstream.url) {
                $0.trailerTimeout = .milliseconds(100)
            } _: {
                try await $0.collect()
            }
        }
        #expect(decoded.error == nil)
        #expect(decoded.events.first == .token("so far"))
        #expect(decoded.events.last == .finish(.stop))
        #expect(decoded.events.count == (usage.isEmpty ? 2 : 3))
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    @Test func afterTheEndMarkNothingIsWaitedFor() async throws {
        let upstream = try await RawUpstream.start { _ in
            [.bytes(RawUpstream.unboundedHead + OpenAIProviderFailureTests.whole), .gate(Gate())]
        }
        defer { upstream.stop() }
        let decoded = try await within(.seconds(15), "the end mark") {
            try await withProvider(upstream.url) {
                $0.trailerTimeout = .seconds(60)
            } _: {
                try await $0.collect()
            }
        }
        #expect(decoded.events == [.token("so far"), .finish(.stop)])
    }

    @Test func whoFindsNoFreeConnectionFailsInTime() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        try await withProvider(upstream.url) {
            $0.maxConnections = 1
            $0.connectTimeout = .milliseconds(200)
        } _: { provider in
            let first = Task { try await provider.collect() }
            try await eventually("the first one runs") { upstream.requests.count == 1 }
            #expect(try await provider.collect().error == .unavailable)
            first.cancel()
            await #expect(throws: CancellationError.self) { try await first.value("it ends") }
        }
    }

    // MARK: Slow consumers

    /// The upstream is slowed down: what is gathered for the consumer is bounded, and nothing is lost.
    @Test func aSlowConsumerSlowsTheUpstreamDown() async throws {
        let token = String(repeating: "x", count: 16 << 10)
        let event = ByteBuffer(string: "data: \(Decoded.delta(#"{"content":"\#(token)"}"#))\n\n")
        let count = 400
        let upstream = try await RawUpstream.start { _ in
            [.bytes(RawUpstream.unboundedHead), .flood(event, count: count), .bytes(OpenAIProviderFailureTests.reason), .close]
        }
        defer { upstream.stop() }
        let bound = 128 << 10
        var batches: [Int] = []
        try await withProvider(upstream.url) {
            $0.maxUndeliveredBytes = bound
            $0.maxResponseBytes = 1 << 30
            $0.idleTimeout = .seconds(1)
        } _: { provider in
            try await provider.generate(.hello) { batch in
                if batches.count == 1 {
                    // The socket's buffers fill up, and then nothing more is taken: for longer than the time of silence.
                    try await eventually("the upstream stands still") {
                        let before = upstream.written
                        try await Task.sleep(for: .milliseconds(1200))
                        return upstream.written == before
                    }
                    #expect(upstream.written < count * event.readableBytes / 2)
                }
                batches.append(batch.reduce(0) { if case .token(let text) = $1 { $0 + text.utf8.count } else { $0 } })
            }
        }
        #expect(batches.reduce(0, +) == count * token.utf8.count)
        // One read more than the bound may have been under way.
        #expect(batches.allSatisfy { $0 <= bound + (512 << 10) }, "\(batches.max() ?? 0)")
    }

    /// The time for which nothing was read from the upstream is not its silence.
    @Test func theSilenceBeginsWhenTheConsumerIsBack() async throws {
        let body = String(repeating: Self.token, count: 99)
        let (rest, more) = (Gate(), Gate())
        let upstream = try await RawUpstream.start { _ in
            [
                .bytes(RawUpstream.unboundedHead + Self.token), .gate(rest), .bytes(body), .gate(more),
                .bytes(OpenAIProviderFailureTests.whole), .close,
            ]
        }
        defer { upstream.stop() }
        let idle = Duration.milliseconds(1000)
        let begun = ContinuousClock.now
        let decoded = try await withProvider(upstream.url) {
            $0.maxUndeliveredBytes = 100
            $0.idleTimeout = .milliseconds(1000)
        } _: { provider in
            var decoded = Decoded()
            var isFirst = true
            do {
                try await provider.generate(.hello) { batch in
                    decoded.events += batch
                    guard isFirst else { return }
                    isFirst = false
                    // What comes now is more than may wait for the consumer.
                    rest.open()
                    // Away until the middle of the second period; the upstream goes on in the middle of the third.
                    try await eventually("one and a half periods are over") { ContinuousClock.now - begun > idle * 1.5 }
                    Task {
                        try await eventually("two periods are over") { ContinuousClock.now - begun > idle * 2.15 }
                        more.open()
                    }
                }
            } catch let error as LLMError {
                decoded.error = error.code
            }
            return decoded
        }
        #expect(decoded.error == nil)
        #expect(decoded.text == String(repeating: "so far", count: 101))
    }

    // MARK: Cancellation

    enum Moment: CaseIterable { case beforeTheHead, inTheMiddle, whileSlowedDown }

    @Test(arguments: Moment.allCases) func cancellationClosesTheConnectionAtOnce(moment: Moment) async throws {
        let flood = ByteBuffer(string: String(repeating: Self.token, count: 1000))
        let upstream = try await RawUpstream.start { _ in
            switch moment {
            case .beforeTheHead: [.gate(Gate())]
            case .inTheMiddle: [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())]
            case .whileSlowedDown: [.bytes(RawUpstream.unboundedHead), .flood(flood, count: 1000)]
            }
        }
        defer { upstream.stop() }
        var fastest = Duration.seconds(60)
        try await withProvider(upstream.url) {
            $0.maxUndeliveredBytes = 1000
        } _: { provider in
            for round in 1...5 {
                let told = Gate()
                let task = Task {
                    try await provider.generate(.hello) { _ in
                        told.open()
                        if moment == .whileSlowedDown { try await Task.sleep(for: .seconds(3600)) }
                    }
                }
                try await eventually("the request is there") { upstream.requests.count == round }
                if moment != .beforeTheHead { await told.pass() }
                let cancelled = ContinuousClock.now
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value("it ends") }
                try await eventually("the connection is closed") { upstream.openConnections == 0 }
                if moment == .whileSlowedDown {
                    fastest = min(fastest, ContinuousClock.now - cancelled)
                } else {
                    fastest = min(fastest, try #require(upstream.closures.last) - cancelled)
                }
            }
        }
        // The best of five, since the machine may be busy with other tests.
        #expect(fastest < .milliseconds(100))
    }

    @Test func nothingIsHandedOnAfterACancellation() async throws {
        let upstream = try await Upstream.start { _ in .text("one", "two", "three") }
        defer { upstream.stop() }
        try await withProvider(upstream.url) { provider in
            let before = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await provider.collect()
            }
            before.cancel()
            await #expect(throws: CancellationError.self) { try await before.value("it ends") }
        }
        #expect(upstream.requests.isEmpty)
    }

    @Test func anErrorOfTheSinkEndsTheGenerationAndIsThrownOn() async throws {
        struct Enough: Error {}
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        try await withProvider(upstream.url) { provider in
            await #expect(throws: Enough.self) { try await provider.generate(.hello) { _ in throw Enough() } }
            try await eventually("the connection is closed") { upstream.openConnections == 0 }
        }
    }

    @Test func whatStillRunsAtTheShutdownFails() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        let task = Mutex<Task<Decoded, any Error>?>(nil)
        try await withProvider(upstream.url) { provider in
            task.withLock { $0 = Task { try await provider.collect() } }
            try await eventually("it runs") { upstream.requests.count == 1 }
        }
        let decoded = try await task.withLock { $0 }?.value
        #expect(decoded?.error == .unavailable)
    }
}
