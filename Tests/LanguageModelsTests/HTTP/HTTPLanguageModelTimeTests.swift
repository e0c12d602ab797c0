import Locks
import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// The tests run one after another, so that they do not slow each other down.
@Suite("Timeouts and cancellation of generations", .tags(.clock), .serialized, .timeLimit(.minutes(2)))
struct HTTPLanguageModelTimeTests {
    static let token = HTTPLanguageModelFailureTests.token

    // MARK: Time limits

    @Test("Silence before the head is a timeout")
    func silenceBeforeTheHeadIsATimeout() async throws {
        let upstream = try await RawUpstream.start { _ in [.gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            $0.idleTimeout = .milliseconds(100)
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .timeout)
        #expect(decoded.message.contains("100 ms"))
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    @Test("Silence in mid-stream is a timeout")
    func silenceInTheMiddleIsATimeout() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            $0.idleTimeout = .milliseconds(500)
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .timeout)
        #expect(decoded.events == [.textDelta("so far")])
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    /// Every part of the body restarts the limit of silence.
    @Test("A response that keeps arriving may take longer than the silence limit")
    func anAnswerThatKeepsComingIsNotSilent() async throws {
        var answer = UpstreamAnswer()
        for _ in 0..<10 {
            answer.add(delta: ["content": "x"])
            answer.parts.append(.pause(.milliseconds(220)))
        }
        answer.end(finish: "stop")
        let upstream = try await Upstream.start { [answer] _ in answer }
        defer { upstream.stop() }
        let begun = ContinuousClock.now
        let decoded = try await withModel(upstream.url) {
            $0.idleTimeout = .seconds(2)
        } _: {
            try await $0.collect()
        }
        #expect(ContinuousClock.now - begun > .seconds(2))
        #expect(decoded.error == nil)
        #expect(decoded.text == "xxxxxxxxxx")
    }

    @Test("A whole generation has a time limit")
    func aWholeGenerationHasALimit() async throws {
        var answer = UpstreamAnswer()
        for _ in 0..<2000 {
            answer.add(delta: ["content": "x"])
            answer.parts.append(.pause(.milliseconds(10)))
        }
        let upstream = try await Upstream.start { [answer] _ in answer }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
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

    private static func chunk(_ delta: String, finish: String? = nil) -> String { "data: \(Decoded.delta(delta, finish: finish))\n\n" }

    /// If text follows a reason, the completion goes on, and the time limits of a writing model
    /// apply.
    @Test(
        "A premature reason does not cut the text",
        arguments: [
            chunk("{}", finish: "stop"), chunk(#"{"content":"so "}"#, finish: "stop") + chunk(#"{"content":"far "}"#, finish: "stop"),
        ]
    )
    func aReasonThatComesTooEarlyDoesNotCutTheText(beginning: String) async throws {
        // The pause is longer than the wait for the rest of a finished completion.
        let rest = Self.chunk(#"{"content":"late"}"#) + "data: [DONE]\n\n"
        let answer = UpstreamAnswer(parts: [
            .bytes(ByteBuffer(string: beginning)), .pause(.milliseconds(400)), .bytes(ByteBuffer(string: rest)),
        ])
        let upstream = try await Upstream.start { _ in answer }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            $0.trailerTimeout = .milliseconds(50)
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == nil)
        #expect(decoded.text.hasSuffix("late") && decoded.events.last == .finish(.stop))
    }

    /// If no more bytes arrive, the completion is incomplete.
    @Test("Silence after a discredited reason is a timeout")
    func silenceBehindAReasonThatWasNoneIsATimeout() async throws {
        let beginning = Self.chunk(#"{"content":"one "}"#, finish: "stop") + Self.chunk(#"{"content":"two "}"#, finish: "stop")
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + beginning), .gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            ($0.trailerTimeout, $0.idleTimeout) = (.milliseconds(50), .milliseconds(300))
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .timeout)
        #expect(decoded.text == "one two ")
    }

    /// The server keeps the stream open after the model has finished.
    @Test(
        "After the finish reason the provider waits only briefly for the stream's end",
        arguments: ["", "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"]
    )
    func theEndOfTheStreamIsNotWaitedForLong(usage: String) async throws {
        let body = Self.token + HTTPLanguageModelFailureTests.reason + usage
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + body), .gate(Gate())] }
        defer { upstream.stop() }
        let decoded = try await within(.seconds(15), "the end of the stream") {
            try await withModel(upstream.url) {
                $0.trailerTimeout = .milliseconds(100)
            } _: {
                try await $0.collect()
            }
        }
        #expect(decoded.error == nil)
        #expect(decoded.events.first == .textDelta("so far"))
        #expect(decoded.events.last == .finish(.stop))
        #expect(decoded.events.count == (usage.isEmpty ? 2 : 3))
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    /// The server sends meaningless bytes continuously, before its end mark or after it.
    @Test(
        "A rest that trickles in is awaited only briefly",
        arguments: [HTTPLanguageModelFailureTests.reason, HTTPLanguageModelFailureTests.reason + "data: [DONE]\n\n"]
    )
    func aRestThatTricklesInIsNotWaitedForLong(rest: String) async throws {
        let isEnough = Gate()
        let upstream = try await RawUpstream.start { _ in
            [.bytes(RawUpstream.unboundedHead + Self.token + rest), .trickle(": ping\n\n", every: .milliseconds(5), until: isEnough)]
        }
        defer {
            isEnough.open()
            upstream.stop()
        }
        let decoded = try await within(.seconds(15), "the end of the stream") {
            try await withModel(upstream.url) {
                $0.trailerTimeout = .milliseconds(100)
            } _: { model in
                let decoded = try await model.collect()
                try await eventually("the connection is closed") { upstream.openConnections == 0 }
                return decoded
            }
        }
        #expect(decoded.events == [.textDelta("so far"), .finish(.stop)])
    }

    @Test("The provider waits for nothing after the end mark")
    func afterTheEndMarkNothingIsWaitedFor() async throws {
        let upstream = try await RawUpstream.start { _ in
            [.bytes(RawUpstream.unboundedHead + HTTPLanguageModelFailureTests.whole), .gate(Gate())]
        }
        defer { upstream.stop() }
        let decoded = try await within(.seconds(15), "the end mark") {
            try await withModel(upstream.url) {
                $0.trailerTimeout = .seconds(60)
            } _: {
                try await $0.collect()
            }
        }
        #expect(decoded.events == [.textDelta("so far"), .finish(.stop)])
    }

    @Test("A generation without a free connection fails in time")
    func whoFindsNoFreeConnectionFailsInTime() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        try await withModel(upstream.url) {
            $0.maxConnections = 1
            $0.connectTimeout = .milliseconds(200)
        } _: { model in
            let first = Task { try await model.collect() }
            try await eventually("the first one runs") { upstream.requests.count == 1 }
            #expect(try await model.collect().error == .unavailable)
            first.cancel()
            await #expect(throws: CancellationError.self) { try await first.value("it ends") }
        }
    }

    // MARK: Cancellation

    enum Moment: CaseIterable { case beforeTheHead, inTheMiddle, inAFlood }

    @Test("Cancellation closes the connection at once", arguments: Moment.allCases)
    func cancellationClosesTheConnectionAtOnce(moment: Moment) async throws {
        let flood = ByteBuffer(string: String(repeating: Self.token, count: 1000))
        let upstream = try await RawUpstream.start { _ in
            switch moment {
            case .beforeTheHead: [.gate(Gate())]
            case .inTheMiddle: [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())]
            case .inAFlood: [.bytes(RawUpstream.unboundedHead), .flood(flood, count: 1000)]
            }
        }
        defer { upstream.stop() }
        var fastest = Duration.seconds(60)
        try await withModel(upstream.url) {
            $0.maxResponseBytes = 1 << 30
        } _: { model in
            for round in 1...5 {
                let told = Gate()
                let task = Task { try await model.generate(.hello) { _ in told.open() } }
                try await eventually("the request is there") { upstream.requests.count == round }
                if moment != .beforeTheHead { await told.pass() }
                let cancelled = ContinuousClock.now
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value("it ends") }
                try await eventually("the connection is closed") { upstream.openConnections == 0 }
                if moment == .inAFlood {
                    fastest = min(fastest, ContinuousClock.now - cancelled)
                } else {
                    fastest = min(fastest, try #require(upstream.closures.last) - cancelled)
                }
            }
        }
        // The test takes the best of five runs, because other processes may use the machine.
        #expect(fastest < .milliseconds(100))
    }

    @Test("No event is delivered after a cancellation")
    func nothingIsHandedOnAfterACancellation() async throws {
        let upstream = try await Upstream.start { _ in .text("one", "two", "three") }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            let before = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await model.collect()
            }
            before.cancel()
            await #expect(throws: CancellationError.self) { try await before.value("it ends") }
        }
        #expect(upstream.requests.isEmpty)
    }

    /// If a cancellation dropped events, the completion is not complete.
    @Test("An end that crosses a cancellation does not count")
    func anEndThatCrossesACancellationIsNone() async throws {
        try await withModel("http://127.0.0.1:1") { model in
            let receiver = CollectingReceiver()
            let generation = HTTPGeneration(model, client: nil, receiver: receiver)
            try generation.receive([.textDelta("one")])
            generation.cancel()
            #expect(throws: CancellationError.self) { try generation.receive([.textDelta("two"), .finish(.stop)]) }
            generation.end(.failure(CancellationError()))
            #expect(try await receiver.next() == [.textDelta("one")])
            await #expect(throws: CancellationError.self) { try await receiver.next() }
        }
    }

    @Test("An error of the receiver ends the generation and is rethrown unchanged")
    func anErrorOfTheReceiverEndsTheGenerationAndIsToldUnchanged() async throws {
        struct Enough: Error {}
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            await #expect(throws: Enough.self) { try await model.generate(.hello, refusing: Enough()) { _ in } }
            try await eventually("the connection is closed") { upstream.openConnections == 0 }
        }
    }

    @Test("The receiver is released at the end")
    func theReceiverIsLetGoAtTheEnd() async throws {
        let upstream = try await Upstream.start { _ in .text("one") }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            weak var gone: CollectingReceiver?
            let generation: any LLMGeneration
            do {
                let receiver = CollectingReceiver()
                gone = receiver
                generation = model.generate(.hello, receiver: receiver)
                while try await receiver.next() != nil {}
            }
            try await eventually("nobody holds it") { gone == nil }
            generation.cancel()
        }
    }

    @Test("Generations that run at the shutdown fail")
    func whatStillRunsAtTheShutdownFails() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes(RawUpstream.unboundedHead + Self.token), .gate(Gate())] }
        defer { upstream.stop() }
        let task = Guarded<Task<Decoded, any Error>?>(nil)
        try await withModel(upstream.url) { model in
            task.withLock { $0 = Task { try await model.collect() } }
            try await eventually("it runs") { upstream.requests.count == 1 }
        }
        let decoded = try await task.withLock { $0 }?.value
        #expect(decoded?.error == .unavailable)
    }
}
