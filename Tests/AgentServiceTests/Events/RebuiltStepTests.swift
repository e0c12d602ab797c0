import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService

/// The end of a step, from the journal and the history.
@Suite(.timeLimit(.minutes(2))) struct RebuiltStepTests {
    private func line(_ step: Int) -> ByteBuffer {
        ByteBuffer(string: #"{"step":\#(step),"status":"completed","history":[\#(2 * step),\#(2 * step + 1)]}"#)
    }

    @Test func findsTheLineOfAStepOrOfItsSuccessor() {
        let lines = [line(3), line(6), line(7)]
        #expect(RebuiltStep(step: 6, journal: lines, isComplete: false)?.step == 6)
        // Steps 4 and 5 were taken over: 6 ended them.
        #expect(RebuiltStep(step: 4, journal: lines, isComplete: false)?.step == 6)
        #expect(RebuiltStep(step: 4, journal: lines, isComplete: false)?.range == 12..<13)
        #expect(RebuiltStep(step: 8, journal: lines, isComplete: true) == nil)
        // A line before 3 may have been dropped, which may have been that of 2.
        #expect(RebuiltStep(step: 2, journal: lines, isComplete: false) == nil)
        #expect(RebuiltStep(step: 2, journal: lines, isComplete: true)?.step == 3)
        #expect(RebuiltStep(step: 1, journal: [], isComplete: true) == nil)
        #expect(RebuiltStep(step: 1, journal: [ByteBuffer(string: "x"), ByteBuffer(string: #"{"step":1}"#)], isComplete: true) == nil)
    }

    /// Whatever a step said at its end is said again from the history, word for word, when its events have left the log.
    @Test(arguments: ["text", "calls", "text and calls", "repaired", "failed", "bad arguments", "empty"])
    func saysWhatTheStepSaid(kind: String) async throws {
        let call = (id: "a", name: "read_file", arguments: #"{"path":"x\n😀","n":[1,2.5,{}]}"#)
        let turns = Turns(try await SessionInRedis(.shared())) { request, sink in
            switch kind {
            case "text": try await PlayedModel.saying("Hel", "lo\u{2028}")(request, sink)
            case "calls": try await PlayedModel.calling(call, (id: "b", name: "echo", arguments: ""))(request, sink)
            case "text and calls":
                try await sink([.token("I look. ")])
                try await PlayedModel.calling(call, (id: "b", name: "echo", arguments: "nonsense"))(request, sink)
            case "repaired":
                try await sink([.token("try \(request.messages.count) ")])
                let isRepair = request.messages.count > 2
                try await PlayedModel.calling((id: "a", name: "echo", arguments: isRepair ? "{}" : "nonsense"))(request, sink)
            case "failed":
                try await sink([.token("half")])
                throw LLMError(.timeout, "The model was silent.")
            case "bad arguments": try await PlayedModel.calling((id: "a", name: "echo", arguments: "nonsense"))(request, sink)
            default: try await PlayedModel.saying()(request, sink)
            }
        }
        let live = try await turns.say("hello", ["metadata": ["a": 1]], key: "k").all()
        _ = try turns.session.redis.cli("DEL", turns.session.keys.events)
        let rebuilt = try await turns.say("hello", ["metadata": ["a": 1]], key: "k").all()
        #expect(turns.model.requests.count == (["repaired", "bad arguments"].contains(kind) ? 2 : 1))
        #expect(rebuilt.allSatisfy { $0.id == nil })
        let ends = live.filter { $0.data["token"].string?.isEmpty ?? true }
        #expect(rebuilt.map(\.name) == ends.map(\.name))
        #expect(rebuilt.done == live.done)
        if ["failed", "bad arguments"].contains(kind) {
            #expect(rebuilt.error["code"] == live.error["code"])
        } else {
            #expect(rebuilt.map(\.data) == ends.map(\.data))
        }
    }
}
