import TestSupport
import Testing

@testable import failover_drill

/// A client checks the stream that it reads.
@Suite("Checking a stream")
struct StreamCheckTests {
    private func read(_ events: [(id: String?, name: String, data: JSON)]) -> StreamCheck {
        var check = StreamCheck()
        for event in events { check.read(ReceivedEvent(id: event.id, name: event.name, data: event.data)) }
        return check
    }

    private func token(_ id: String, _ text: String) -> (id: String?, name: String, data: JSON) {
        (id, "message", ["type": "assistant_message", "token": .string(text), "is_final": false])
    }

    private func text(_ id: String?, _ text: String) -> (id: String?, name: String, data: JSON) {
        (id, "message", ["type": "assistant_message", "content": .string(text), "token": "", "is_final": true])
    }

    private func done(_ id: String?, _ status: String = "completed", _ pending: [JSON] = []) -> (id: String?, name: String, data: JSON) {
        (id, "done", ["status": .string(status), "step": 1, "pending_calls": .array(pending)])
    }

    @Test("A correct stream has no fault")
    func anAnswerWithoutFault() {
        let check = read([token("1-1.a", "a "), token("1-2.a", "b"), text("1-3.a", "a b"), done("1-4.a")])
        #expect(check.faults.isEmpty && check.content == "a b" && check.lastID == "1-4.a" && check.restarts == 0)
    }

    @Test("A restart discards the text before it")
    func aRestartBeginsAnew() {
        let restart: (String?, String, JSON) = ("2-0.b", "restart", ["type": "restart", "step": 2, "replaces": 1])
        let check = read([token("1-1.a", "void "), restart, token("2-1.b", "x"), text("2-2.b", "x"), done("2-3.b")])
        #expect(check.faults.isEmpty && check.restarts == 1)
    }

    @Test("A rebuilt step comes whole and without ids")
    func aRebuiltEnd() {
        let restart: (String?, String, JSON) = (nil, "restart", ["type": "restart", "step": 1, "replaces": 1])
        #expect(read([token("1-1.a", "void "), restart, text(nil, "whole"), done(nil)]).faults.isEmpty)
    }

    /// If a replica ends a step in place of the former owner, it sends no restart.
    @Test("A cancelled step may end under another number without a restart")
    func aCancelledStepEndsUnderAnotherNumber() {
        #expect(read([token("1-1.a", "a"), text("2-1.b", "a"), done("2-2.b", "cancelled")]).faults.isEmpty)
        #expect(!read([token("1-1.a", "a"), text("2-1.b", "a"), done("2-2.b")]).faults.isEmpty)
    }

    @Test("Every kind of fault is noticed")
    func everyFaultIsNoticed() {
        let faulty: [[(id: String?, name: String, data: JSON)]] = [
            // A gap, a repeated event, and an event before the previous one.
            [token("1-1.a", "a"), token("1-3.a", "b"), text("1-4.a", "ab"), done("1-5.a")],
            [token("1-1.a", "a"), token("1-1.a", "a"), text("1-2.a", "aa"), done("1-3.a")],
            [token("1-2.a", "a"), text("1-3.a", "a"), done("1-4.a")],
            // An event of another generation, and an event of another session with the same step
            // number.
            [token("1-1.a", "a"), token("1-2.b", "b"), text("1-3.b", "ab"), done("1-4.b")],
            // A text that differs from the deltas.
            [token("1-1.a", "a"), text("1-2.a", "b"), done("1-3.a")],
            [token("1-1.a", "a"), done("1-2.a")],
            // Events after the end, an end without a reason, and calls without the status
            // `waiting`.
            [text("1-1.a", "a"), done("1-2.a"), token("1-3.a", "b")],
            [done("1-1.a", "failed")],
            [("1-1.a", "message", ["type": "tool_call", "call_id": "c"]), done("1-2.a", "waiting")],
            [("nonsense", "message", [:])],
        ]
        for events in faulty { #expect(!read(events).faults.isEmpty, "\(events)") }
    }
}
