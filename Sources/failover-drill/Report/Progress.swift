import Synchronization

/// What has happened so far, counted while it happens.
final class Progress: Sendable {
    struct Counts: Sendable {
        /// Steps that clients were told the end of.
        var turns = 0
        /// Of these, those that failed because the model or every replica did.
        var failedAnswers = 0
        var tokens = 0
        /// Requests that were sent again, or resumed.
        var retries = 0
        /// Texts that were begun anew.
        var restarts = 0
        var longestSilence = Duration.zero
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
        /// What was done; why it could not be, where it failed.
        var detail = ""
        var failed = false
    }

    private struct State {
        var counts = Counts()
        var samples: [Sample] = []
        var faults: [Fault] = []
    }

    /// In the names of this run's sessions.
    let run: String
    let begun = ContinuousClock.now
    private let state = Mutex(State())

    init(run: String) {
        self.run = run
    }

    var counts: Counts { state.withLock { $0.counts } }
    var samples: [Sample] { state.withLock { $0.samples } }
    var faults: [Fault] { state.withLock { $0.faults } }
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

    func begin(_ name: String) -> Int {
        state.withLock { state in
            state.faults.append(Fault(begun: elapsed, name: name))
            return state.faults.count - 1
        }
    }

    func end(_ fault: Int, detail: String, failed: Bool = false) {
        state.withLock { state in
            guard state.faults.indices.contains(fault) else { return }
            (state.faults[fault].ended, state.faults[fault].detail, state.faults[fault].failed) = (elapsed, detail, failed)
        }
    }
}
