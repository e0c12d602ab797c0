import TestSupport
import Testing

@testable import failover_drill

/// The verdict finds each violation, and reports nothing else.
@Suite("The verdict on a session")
struct VerdictTests {
    /// A session of two messages, the first with two calls.
    private static let record = SessionRecord(
        id: "s",
        messages: [
            MessageRecord(
                text: "one", isAcknowledged: true,
                answers: [
                    AnswerRecord(step: 1, status: "waiting", calls: ["a", "b"], results: ["a": "result of a", "b": "result of b"]),
                    AnswerRecord(step: 2, status: "completed", content: "7.0 7.1 7.end"),
                ]),
            MessageRecord(text: "two", isAcknowledged: true, answers: [AnswerRecord(step: 3, status: "completed", content: "8.0 8.end")]),
        ])

    private static let history: [JSON] = [
        ["role": "user", "content": "one"],
        [
            "role": "assistant",
            "tool_calls": [
                ["id": "a", "type": "function", "function": ["name": "echo", "arguments": "{}"]],
                ["id": "b", "type": "function", "function": ["name": "echo", "arguments": "{}"]],
            ],
        ],
        ["role": "tool", "tool_call_id": "a", "content": "result of a"], ["role": "tool", "tool_call_id": "b", "content": "result of b"],
        ["role": "assistant", "content": "7.0 7.1 7.end"], ["role": "user", "content": "two"],
        ["role": "assistant", "content": "8.0 8.end"],
    ]

    private func kinds(
        _ change: (inout [JSON], inout SessionRecord) -> Void, status: String = "idle", knowsModel: Bool = true
    ) -> Set<Violation.Kind> {
        var (history, record) = (Self.history, Self.record)
        change(&history, &record)
        let verdict = Verdict(record: record, state: ["status": .string(status), "step": 3], history: history, knowsModel: knowsModel)
        return Set(verdict.violations.map(\.kind))
    }

    /// Another tenant's client uses the same session id.
    @Test("Bytes of another tenant are found")
    func foreignBytesAreFound() throws {
        let (red, blue) = (DrillTenant.make(2)[0], DrillTenant.make(2)[1])
        #expect(red.mark == "<red>" && blue.mark == "<blue>" && red.headers != blue.headers)
        var record = Self.record
        record.tenant = red
        func kinds(_ history: [JSON], state: JSON = ["status": "idle"], marks: [Int: String] = [7: "<red>", 8: "<red>"]) -> [Violation.Kind]
        {
            Verdict(record: record, state: state, history: history, knowsModel: true, others: [blue.mark], mark: { marks[$0] })
                .violations.map(\.kind)
        }
        #expect(kinds(Self.history).isEmpty)
        var history = Self.history
        history[2] = ["role": "tool", "tool_call_id": "a", "content": "of <blue>"]
        #expect(kinds(history).contains(.foreign))
        #expect(kinds(Self.history, state: ["status": "idle", "metadata": "<blue>"]) == [.foreign])
        // The text of a generation that answered the other tenant: in the history, and in the stream.
        #expect(kinds(Self.history, marks: [7: "<red>", 8: "<blue>"]) == [.foreign, .foreign])
        #expect(record.name == "red/s")
    }

    @Test("A sound session has no violation")
    func aSoundSessionHasNone() {
        #expect(kinds { _, _ in }.isEmpty)
        #expect(kinds({ _, _ in }, knowsModel: false).isEmpty)
        // A message that was never acknowledged may be missing from the history.
        #expect(kinds { _, record in record.messages.append(MessageRecord(text: "three")) }.isEmpty)
    }

    @Test("Lost messages are found")
    func whatIsLostIsFound() {
        #expect(kinds { history, _ in history.removeLast(2) }.contains(.lost))
        #expect(kinds { history, _ in history.removeLast() } == [.lost])
        #expect(kinds { history, _ in history.remove(at: 3) }.contains(.lost))
        #expect(kinds { history, _ in history = [] } == [.lost])
    }

    @Test("Doubled messages are found")
    func whatIsTwiceIsFound() {
        // A duplicated message, a completion of two generations, a duplicated completion, a
        // duplicated result.
        #expect(kinds { history, _ in history += history.suffix(2) }.contains(.duplicate))
        #expect(kinds { history, _ in history.append(["role": "assistant", "content": "9.0 9.end"]) } == [.duplicate])
        #expect(kinds { history, _ in history.append(["role": "assistant", "content": "8.0 8.end"]) } == [.duplicate])
        #expect(kinds { history, _ in history.insert(history[2], at: 3) }.contains(.duplicate))
    }

    @Test("A step that does not end is found")
    func aStepThatDoesNotEndIsFound() {
        #expect(kinds({ _, _ in }, status: "running") == [.stuck])
    }

    @Test("A history that a model would refuse is found")
    func aHistoryThatAModelWouldRefuseIsFound() {
        #expect(kinds { history, _ in history.insert(["role": "user", "content": "nobody's"], at: 0) } == [.history])
        #expect(kinds { history, record in history.swapAt(0, 5) }.contains(.history))
        #expect(kinds { history, _ in history[2] = ["role": "tool", "tool_call_id": "a", "content": "else"] } == [.history])
    }

    /// Two generations in one completion, a gap, and a missing end.
    @Test("Text that the model never said is found", arguments: ["8.0 9.1 8.end", "8.0 8.2 8.end", "8.0 8.1", "8.end 8.1", "else"])
    func aTextThatTheModelNeverSaid(text: String) {
        let found = kinds { history, record in
            history[6] = ["role": "assistant", "content": .string(text)]
            record.messages[1].answers[0].content = text
        }
        #expect(found == [.history])
    }

    @Test("A cancelled completion may end early")
    func whatWasCancelledMayEndEarly() {
        let found = kinds { history, record in
            history[6] = ["role": "assistant", "content": "8.0 8.1 "]
            (record.messages[1].answers[0].content, record.messages[1].answers[0].status) = ("8.0 8.1 ", "cancelled")
        }
        #expect(found.isEmpty)
    }
}
