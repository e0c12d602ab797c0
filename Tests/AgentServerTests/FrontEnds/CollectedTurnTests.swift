import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import agent_server

@Suite("A turn as one response")
struct CollectedTurnTests {
    private func collect(_ events: [TurnEvent]) async -> CollectedTurn.Outcome {
        let collected = CollectedTurn()
        let stream = ClientStream(encoder: collected)
        stream.write { output in
            for event in events { output.emit(event) }
        }
        stream.finish()
        #expect(await stream.next() == nil, "it writes no bytes")
        return collected.outcome
    }

    private func summary(_ status: StepStatus) throws -> TurnEvent {
        .finished(StepSummary(status: status, session: try #require(SessionID("s")), step: 1))
    }

    @Test("A stream is collected into one completion")
    func theWholeTextCounts() async throws {
        let outcome = await collect([.textDelta("Hel"), .text("Hello", isFinal: true), try summary(.completed)])
        #expect(outcome.text == "Hello" && outcome.failure == nil && outcome.isFinished && !outcome.isCancelled)
    }

    @Test("A stream that breaks off is not finished")
    func aStreamThatBreaksOffIsNotFinished() async {
        let outcome = await collect([.textDelta("Hel")])
        #expect(outcome.text.isEmpty && outcome.failure == nil && !outcome.isFinished)
    }

    @Test("A failure keeps its code and its sentence")
    func aFailureKeepsItsCodeAndItsSentence() async throws {
        let outcome = await collect([
            .failed(StepFailure("why", code: "llm_timeout", isRetryable: true)), try summary(.failed),
        ])
        #expect(outcome.failure?.code == "llm_timeout" && outcome.failure?.message == "why")
    }

    @Test("A tool call is a failure, and a cancel is known")
    func aCallIsAFailureAndACancelIsKnown() async throws {
        let call = IssuedCall(id: "c", name: "echo", arguments: ByteBuffer(string: "{}"))
        #expect(await collect([.toolCall(call, isLast: true), try summary(.waiting)]).failure?.code == "llm_invalid_response")
        #expect(await collect([.text("half", isFinal: true), try summary(.cancelled)]).isCancelled)
    }
}
