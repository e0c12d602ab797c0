import LanguageModels
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService

/// Each result of an action leads to the next action.
@Suite("The actions of a step")
struct StepActionTests {
    private let machine = StepStateMachine(maximumBytes: 1000, maximumCalls: 1)
    private static let stored = StepStateMachine.Conclusion.commit(StepStateMachine.Ending(status: .completed))
    private static let lost = StopReason.lost(step: 2, intent: "cancel")

    private func name(_ action: StepStateMachine.Action) -> String {
        switch action {
        case .ask: "ask"
        case .readLog(let step): "read log of \(step)"
        case .commit(let ending, let cause): "commit \(ending.status)" + (cause.map { ", \($0)" } ?? "")
        case .follow(let step, let intent): "follow \(step) \(intent)"
        case .release(let signal): "release, \(signal)"
        case .abandon(let signal): "abandon" + (signal.map { ", \($0)" } ?? "")
        case .fail(let failure): "fail \(failure.code)"
        case .finish: "finish"
        }
    }

    @Test("A step begins with the model, or with the end that it was taken over for") func opened() {
        #expect(name(machine.opened(as: .begun)) == "ask")
        #expect(name(machine.opened(as: .takenOver(.run, replaces: 1))) == "ask")
        #expect(name(machine.opened(as: .takenOver(.cancel, replaces: 1))) == "read log of 1")
        #expect(name(machine.opened(as: .takenOver(.fail, replaces: 1))) == "commit failed")
    }

    @Test("A lost lease comes first, a whole completion second, a stop third") func stopped() {
        let repair = StepStateMachine.Conclusion.repair(StepStateMachine.Said())
        let cut = LLMError(.unavailable, "the generation was stopped")
        let expected: [(StopReason?, whole: String, repair: String, cut: String, crowded: String)] = [
            (nil, "commit completed", "ask", "commit failed, the generation was stopped", "release, resumeLater"),
            (Self.lost, "follow 2 cancel", "follow 2 cancel", "follow 2 cancel", "follow 2 cancel"),
            (.draining, "commit completed", "release, resumeElsewhere", "release, resumeElsewhere", "release, resumeElsewhere"),
            (.clientLeft, "commit completed", "commit cancelled", "commit cancelled", "commit cancelled"),
        ]
        for (reason, whole, repaired, stopped, crowded) in expected {
            #expect(name(machine.generated(.success(Self.stored), stopped: reason)) == whole)
            #expect(name(machine.generated(.success(repair), stopped: reason)) == repaired)
            #expect(name(machine.generated(.failure(cut), stopped: reason)) == stopped)
            #expect(name(machine.generated(.failure(StepStateMachine.Unasked.crowded), stopped: reason)) == crowded)
        }
        let unread = StepStateMachine.Unasked.store(StoreError(.unavailable, "away"))
        #expect(name(machine.generated(.failure(unread), stopped: nil)) == "abandon, resumeLater")
    }

    @Test("A cancel stores the text of the log, or is left to another replica") func loggedText() {
        guard case .commit(let ending, nil) = machine.loggedText(ByteBuffer(string: "half")) else {
            Issue.record("nothing is stored")
            return
        }
        #expect(ending.status == .cancelled && ending.events == [.text("half", isFinal: true)])
        #expect(name(machine.loggedText(nil)) == "abandon")
    }

    @Test("After the commit the step is over, follows the new owner, or fails without the log") func committed() {
        #expect(name(machine.committed(.success(.held))) == "finish")
        #expect(name(machine.committed(.success(.lost(step: 2, intent: "")))) == "follow 2 ")
        #expect(name(machine.committed(.failure(StoreError(.unavailable, "away")))) == "fail store_unavailable")
    }
}
