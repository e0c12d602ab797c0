import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// Reconstructs the end of a step from the journal and the history.
@Suite("Rebuilding the end of a step", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct ReconstructedStepTests {
    private func line(_ step: Int) -> ByteBuffer {
        ByteBuffer(string: #"{"step":\#(step),"status":"completed","history":[\#(2 * step),\#(2 * step + 1)]}"#)
    }

    private func found(_ step: Int, _ lines: [ByteBuffer], isComplete: Bool) -> ReconstructedStep? {
        guard case .found(let step) = ReconstructedStep.find(step, nonce: nil, journal: lines, isComplete: isComplete) else { return nil }
        return step
    }

    /// A session that was deleted and begun anew uses the same step numbers again. Therefore lines
    /// contain the nonces of their own event ids and of the replaced steps.
    @Test("A journal line with another nonce is not used")
    func theLineOfAnotherSessionIsNoAnswer() {
        let lines = [
            ByteBuffer(string: #"{"step":1,"status":"completed","history":[2,3],"nonce":"aaaa"}"#),
            ByteBuffer(string: #"{"step":3,"status":"completed","history":[4,5],"nonce":"cccc","replaced":["2.bbbb"]}"#),
        ]
        func look(_ step: Int, _ nonce: String?) -> String {
            switch ReconstructedStep.find(step, nonce: nonce, journal: lines, isComplete: true) {
            case .found(let found): "\(found.step)"
            case .missing: "missing"
            case .otherSession: "other"
            }
        }
        #expect(look(1, "aaaa") == "1" && look(1, nil) == "1" && look(1, "zzzz") == "other")
        #expect(look(3, "cccc") == "3" && look(2, "bbbb") == "3" && look(2, nil) == "3" && look(2, "zzzz") == "other")
        #expect(look(4, "dddd") == "missing")
    }

    @Test("The journal line of a step or its successor is found")
    func findsTheLineOfAStepOrOfItsSuccessor() {
        let lines = [line(3), line(6), line(7)]
        #expect(found(6, lines, isComplete: false)?.step == 6)
        // Steps 4 and 5 were taken over, and step 6 ended the chain.
        #expect(found(4, lines, isComplete: false)?.step == 6)
        #expect(found(4, lines, isComplete: false)?.range == 12..<13)
        #expect(found(8, lines, isComplete: true) == nil)
        // The journal may have dropped a line before that of step 3, perhaps the line of step 2.
        #expect(found(2, lines, isComplete: false) == nil)
        #expect(found(2, lines, isComplete: true)?.step == 3)
        #expect(found(1, [], isComplete: true) == nil)
        #expect(found(1, [ByteBuffer(string: "x"), ByteBuffer(string: #"{"step":1}"#)], isComplete: true) == nil)
    }

    /// Earlier builds wrote no finish reason.
    @Test("A journal line without a finish reason has none")
    func aLineWithoutAReasonHasNone() throws {
        let session = try #require(SessionID("s"))
        let rebuilt = try #require(found(3, [line(3)], isComplete: true)).events(session, messages: [])
        #expect(rebuilt.summary.finishReason == nil)
    }

    /// The step's events have left the log.
    @Test(
        "A rebuilt step says word for word what the step said",
        arguments: ["text", "calls", "text and calls", "repaired", "failed", "bad arguments", "empty", "cut", "cut call", "counted"]
    )
    func saysWhatTheStepSaid(kind: String) async throws {
        let call = (id: "a", name: "read_file", arguments: #"{"path":"x\n😀","n":[1,2.5,{}]}"#)
        let turns = Turns(try await SessionInRedis(.shared())) { request, sink in
            switch kind {
            case "text": try await PlayedModel.saying("Hel", "lo\u{2028}")(request, sink)
            case "calls": try await PlayedModel.calling(call, (id: "b", name: "echo", arguments: ""))(request, sink)
            case "text and calls":
                try await sink([.textDelta("I look. ")])
                try await PlayedModel.calling(call, (id: "b", name: "echo", arguments: "nonsense"))(request, sink)
            case "repaired":
                try await sink([.textDelta("try \(request.messages.count) ")])
                let isRepair = request.messages.count > 2
                try await PlayedModel.calling((id: "a", name: "echo", arguments: isRepair ? "{}" : "nonsense"))(request, sink)
            case "failed":
                try await sink([.textDelta("half")])
                var error = LLMError(.quotaSpent, "Nothing is left.")
                error.upstreamCode = "insufficient_quota"
                throw error
            case "cut": try await sink([.textDelta("half a sen"), .finish(.length)])
            case "cut call":
                try await sink([.toolCall(index: 0, id: "a", name: "echo", arguments: #"{"a":"#), .finish(.length)])
            case "counted":
                let usage = TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 8, reasoningTokens: 0)
                try await sink([.textDelta("x"), .usage(usage), .finish(.stop)])
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
        if ["failed", "bad arguments", "cut call"].contains(kind) {
            for member in ["code", "upstream_code", "retryable"] { #expect(rebuilt.error[member] == live.error[member], "\(member)") }
        } else {
            #expect(rebuilt.map(\.data) == ends.map(\.data))
        }
    }
}
