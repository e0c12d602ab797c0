import Locks

/// Counts of what has happened so far in a drill.
final class Progress: Sendable {
    struct Counts: Sendable {
        /// Steps whose end a client has seen.
        var turns = 0
        /// Of these, the steps that failed because the model or every replica did.
        var failedAnswers = 0
        var tokens = 0
        /// Requests that a client retried or resumed.
        var retries = 0
        /// Texts that restarted on another replica.
        var restarts = 0
        var longestSilence = Duration.zero
        /// Requests that the service refused at a limit.
        var refusals = 0
    }

    /// One request of a client, for the time line.
    struct Sample: Sendable {
        var at: Duration
        var firstEvent: Duration
        var longestSilence: Duration
    }

    struct Fault: Sendable {
        var begun: Duration
        var ended: Duration?
        var name: String
        /// What the drill does.
        var summary: String
        /// What happened; if the fault failed, why.
        var detail = ""
        var failed = false
    }

    private struct State {
        var counts = Counts()
        var samples: [Sample] = []
        var faults: [Fault] = []
        var notices: [String] = []
    }

    /// Distinguishes this run's sessions from other runs'.
    let run: String
    let begun = ContinuousClock.now
    private let state = Guarded(State())

    init(run: String) {
        self.run = run
    }

    var counts: Counts { state.withLock { $0.counts } }
    var samples: [Sample] { state.withLock { $0.samples } }
    var faults: [Fault] { state.withLock { $0.faults } }
    /// The lines that tell a person what happens, in order.
    var notices: [String] { state.withLock { $0.notices } }
    var elapsed: Duration { begun.duration(to: .now) }

    func count(_ change: (inout Counts) -> Void) { state.withLock { change(&$0.counts) } }

    func note(_ timing: Timing) {
        let sample = Sample(
            at: begun.duration(to: timing.begun), firstEvent: timing.firstEvent ?? timing.total, longestSilence: timing.longestSilence)
        state.withLock { state in
            state.samples.append(sample)
            state.counts.longestSilence = max(state.counts.longestSilence, timing.longestSilence)
        }
    }

    /// Adds a line to ``notices``, with the time.
    func announce(_ text: String) {
        let notice = Self.notice(elapsed, text)
        state.withLock { $0.notices.append(notice) }
    }

    /// Records the begin of a fault, and announces it.
    ///
    /// - Returns: The number of the fault, for ``end(_:detail:failed:)``.
    func begin(_ name: String, _ summary: String) -> Int {
        let elapsed = elapsed
        return state.withLock { state in
            state.faults.append(Fault(begun: elapsed, name: name, summary: summary))
            state.notices.append(Self.notice(elapsed, "\(name): \(summary)"))
            return state.faults.count - 1
        }
    }

    /// Records the end of a fault, and announces it.
    func end(_ fault: Int, detail: String, failed: Bool = false) {
        let elapsed = elapsed
        state.withLock { state in
            guard state.faults.indices.contains(fault) else { return }
            (state.faults[fault].ended, state.faults[fault].detail, state.faults[fault].failed) = (elapsed, detail, failed)
            let took = (elapsed - state.faults[fault].begun).inSeconds
            let outcome = failed ? "FAILED after \(took): \(detail)" : "over after \(took): \(detail)"
            state.notices.append(Self.notice(elapsed, "\(state.faults[fault].name) \(outcome)"))
        }
    }

    private static func notice(_ elapsed: Duration, _ text: String) -> String { "\(elapsed.components.seconds) s  \(text)" }
}
