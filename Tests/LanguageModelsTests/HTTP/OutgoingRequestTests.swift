import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// The provider holds a request only as long as it may have to send the request again.
@Suite("Memory of requests to the model", .timeLimit(.minutes(2)))
struct OutgoingRequestTests {
    private static let token = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"
    private static let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"

    private func request(_ bytes: Int, of budget: ByteBudget) -> LLMRequest {
        var request = LLMRequest(
            model: "m", messages: [ByteBuffer(string: #"{"role":"user","content":"\#(String(repeating: "x", count: bytes))"}"#)])
        request.share = budget.take(HistoryBudgets.held(bytes))
        return request
    }

    /// The first request is sent in one part and the second in several. Another thread than the
    /// event loop's writes the third.
    @Test("The request is released when the response head arrives", arguments: [1000, 600_000, 5_000_000])
    func theRequestIsLetGoOfWithTheAnswersHead(bytes: Int) async throws {
        let (head, rest) = (Gate(), Gate())
        let upstream = try await RawUpstream.start { _ in
            [.gate(head), .bytes(RawUpstream.unboundedHead + Self.token), .gate(rest), .bytes(Self.end), .close]
        }
        defer { upstream.stop() }
        let budget = ByteBudget(limit: 100 << 20)
        try await withModel(upstream.url) { model in
            let receiver = CollectingReceiver()
            let generation = model.generate(request(bytes, of: budget), receiver: receiver)
            try await eventually("the model has the request") { head.arrivals == 1 }
            // By now the messages are released, and the bytes in flight are not.
            #expect(budget.used > bytes && budget.used < bytes + 1000)
            #expect(upstream.requests.first?.text.hasSuffix(#"x"}],"stream":true,"stream_options":{"include_usage":true}}"#) == true)
            head.open()
            #expect(try await receiver.next() == [.textDelta("x")])
            #expect(budget.used == 0)
            rest.open()
            while try await receiver.next() != nil {}
            withExtendedLifetime(generation) {}
        }
    }

    @Test("A cancelled or failed request is released")
    func whatIsCancelledOrFailsIsLetGoOf() async throws {
        let gate = Gate()
        let upstream = try await RawUpstream.start { _ in [.gate(gate)] }
        defer {
            gate.open()
            upstream.stop()
        }
        let budget = ByteBudget(limit: 100 << 20)
        for bytes in [1000, 5_000_000] {
            try await withModel(upstream.url) { model in
                let receiver = CollectingReceiver()
                let generation = model.generate(request(bytes, of: budget), receiver: receiver)
                generation.cancel()
                await #expect(throws: CancellationError.self) { try await receiver.next() }
                try await eventually("nothing is held") { budget.used == 0 }
                withExtendedLifetime(generation) {}
            }
            try await withModel("http://127.0.0.1:1") { model in
                let receiver = CollectingReceiver()
                let generation = model.generate(request(bytes, of: budget), receiver: receiver)
                await #expect(throws: LLMError.self) { try await receiver.next() }
                try await eventually("nothing is held") { budget.used == 0 }
                withExtendedLifetime(generation) {}
            }
        }
    }

    /// The server closed the reused connection.
    @Test("A large request is resent with the same bytes")
    func aLargeRequestIsSentAgainAsItWas() async throws {
        let upstream = try await RawUpstream.start { received in
            if received.connection == 1, received.place == 1 { return [.close] }
            return RawUpstream.answer(Self.token + Self.end)
        }
        defer { upstream.stop() }
        let budget = ByteBudget(limit: 100 << 20)
        try await withModel(upstream.url) { model in
            for _ in 0..<2 {
                let answer = try await model.collect(request(2_000_000, of: budget))
                #expect(answer.error == nil)
            }
        }
        let bodies = upstream.requests.map { $0.text.utf8.count }
        #expect(bodies.allSatisfy { $0 > 2_000_000 } && Set(bodies).count == 1)
        #expect(budget.used == 0)
    }
}
