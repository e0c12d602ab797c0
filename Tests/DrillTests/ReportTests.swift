import TestSupport
import Testing

@testable import failover_drill

/// A report is the text that a person reads during a drill and after it.
@Suite("The report of a drill")
struct ReportTests {
    private func summary(turns: Int, _ violations: [Violation] = [], model: [String] = []) -> Summary {
        var counts = Progress.Counts()
        counts.turns = turns
        return Summary(
            title: "drill", seed: 1, duration: .seconds(40), sessions: 2, messages: 5, counts: counts, faults: [], samples: [],
            violations: violations, modelViolations: model)
    }

    @Test("A sound drill says what it has checked")
    func aSoundDrillSaysWhatItHasChecked() {
        let text = summary(turns: 7).text
        #expect(text.contains("checked 2 sessions, the streams of 7 steps and the stored histories: no violation"))
        #expect(text.hasSuffix("all held") && !text.hasSuffix("NOT all held"))
    }

    @Test("Violations are counted by kind")
    func violationsAreCountedByKind() {
        let violations = [
            Violation(kind: .lost, session: "s", detail: "x"), Violation(kind: .stream, session: "s", detail: "y"),
            Violation(kind: .stream, session: "s", detail: "z"),
        ]
        let text = summary(turns: 7, violations, model: ["no reasoning"]).text
        #expect(text.contains("stored histories: lost 1, faulty streams 2, requests that the model refused 1\n"))
        #expect(text.hasSuffix("NOT all held"))
    }

    @Test("A drill without steps has checked nothing")
    func aDrillWithoutStepsHasCheckedNothing() {
        let text = summary(turns: 0).text
        #expect(text.contains("checked nothing: no client saw the end of a step"))
        #expect(text.hasSuffix("NOT all held"))
    }

    /// The report contains a line when a fault begins, and a line when it is over.
    @Test("Faults are named when they are caused")
    func faultsAreNamedWhenTheyAreCaused() {
        let progress = Progress(run: "r")
        let first = progress.begin("kill", FaultKind.kill.summary)
        #expect(progress.notices.count == 1)
        #expect(progress.notices[0].hasSuffix("s  kill: kill -9 a replica, then restart it"))
        progress.end(first, detail: "killed replica-2 and restarted it")
        #expect(progress.notices[1].contains("kill over after "))
        #expect(progress.notices[1].hasSuffix(": killed replica-2 and restarted it"))
        progress.end(progress.begin("mine", "exit 3"), detail: "exit code 3", failed: true)
        #expect(progress.notices[3].contains("mine FAILED after ") && progress.notices[3].hasSuffix(": exit code 3"))
    }
}
