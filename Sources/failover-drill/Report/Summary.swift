import LocalDeployment
import RedisClient
import SessionStore

/// The outcome of a drill.
struct Summary: Sendable {
    var title: String
    var seed: UInt64
    var duration: Duration
    var sessions: Int
    var messages: Int
    var counts: Progress.Counts
    var faults: [Progress.Fault]
    var samples: [Progress.Sample]
    var violations: [Violation]
    /// The requests that the drill's own model refused; empty with any other model.
    var modelViolations: [String]
    /// How often the drill has read all leases, and the most that one account had; nil without
    /// limits.
    var limits: (readings: Int, most: Int)?

    /// Whether the service kept its promises. A fault that could not be caused proves nothing, and
    /// makes the drill fail.
    var isSound: Bool {
        violations.isEmpty && modelViolations.isEmpty && !faults.contains(where: \.failed) && counts.turns > 0 && limits?.readings != 0
    }

    func count(_ kind: Violation.Kind) -> Int { violations.count { $0.kind == kind } }

    /// Returns a quantile of the clients' longest waits for the next event.
    ///
    /// - Parameter share: The share of the requests whose longest wait was shorter.
    func silence(_ share: Double) -> Duration {
        let sorted = samples.map(\.longestSilence).sorted()
        guard !sorted.isEmpty else { return .zero }
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    var text: String {
        var lines = [
            "", title,
            "  seed \(seed), \(duration.components.seconds) s, \(faults.count) faults, \(sessions) sessions, \(messages) messages",
            "  steps \(counts.turns), of which \(counts.failedAnswers) failed; text deltas \(counts.tokens); requests retried or resumed \(counts.retries); texts restarted \(counts.restarts)",
            "  longest wait for the next event: median \(silence(0.5).inSeconds), 99th percentile \(silence(0.99).inSeconds), longest \(counts.longestSilence.inSeconds)",
        ]
        if let limits {
            lines.append("  refused at a limit \(counts.refusals); most leases of an account \(limits.most), read \(limits.readings) times")
        }
        lines.append("  \(verdict)")
        for fault in faults where fault.failed { lines.append("  the fault \(fault.name) failed: \(fault.detail)") }
        for violation in violations.prefix(50) {
            lines.append("  VIOLATED \(violation)")
            lines.append("           redis-cli LRANGE '\(RedisKeys.historyName(violation.session))' 0 -1")
        }
        if violations.count > 50 { lines.append("  … and \(violations.count - 50) more") }
        for violation in Set(modelViolations).sorted().prefix(20) { lines.append("  VIOLATED the model would refuse: \(violation)") }
        lines.append(isSound ? "  all held" : "  NOT all held")
        return lines.joined(separator: "\n")
    }

    /// Says in one line what the drill has checked and what it has found.
    private var verdict: String {
        guard counts.turns > 0 else { return "checked nothing: no client saw the end of a step" }
        let found = Violation.Kind.allCases.filter { count($0) > 0 }.map { "\($0.title) \(count($0))" }
        let refused = modelViolations.isEmpty ? [] : ["requests that the model refused \(modelViolations.count)"]
        let violations = (found + refused).joined(separator: ", ")
        return "checked \(sessions) sessions, the streams of \(counts.turns) steps and the stored histories: "
            + (violations.isEmpty ? "no violation" : violations)
    }

    var json: JSON {
        .object([
            "title": .string(title), "seed": .number(Double(seed)), "seconds": .number(Double(duration.components.seconds)),
            "sessions": .number(Double(sessions)), "messages": .number(Double(messages)), "turns": .number(Double(counts.turns)),
            "failed_answers": .number(Double(counts.failedAnswers)), "tokens": .number(Double(counts.tokens)),
            "retries": .number(Double(counts.retries)), "restarts": .number(Double(counts.restarts)),
            "longest_wait_ms": .number(Double(counts.longestSilence.milliseconds)),
            "wait_ms": ["p50": .number(Double(silence(0.5).milliseconds)), "p99": .number(Double(silence(0.99).milliseconds))],
            "refusals": .number(Double(counts.refusals)), "most_leases": limits.map { .number(Double($0.most)) } ?? .null,
            "sound": .bool(isSound),
            "violations": .array(
                violations.map { ["kind": .string($0.kind.rawValue), "session": .string($0.session), "detail": .string($0.detail)] }),
            "model_violations": .array(modelViolations.map { .string($0) }),
            "faults": .array(
                faults.map { fault in
                    [
                        "at_ms": .number(Double(fault.begun.milliseconds)),
                        "took_ms": .number(Double(((fault.ended ?? duration) - fault.begun).milliseconds)), "name": .string(fault.name),
                        "detail": .string(fault.detail), "failed": .bool(fault.failed),
                    ]
                }),
        ])
    }
}

extension RedisKeys {
    /// Returns the key of the history of a session, given the session's id as text.
    static func historyName(_ session: String) -> String { SessionID(name: session).map { RedisKeys($0).history } ?? session }
}

extension Duration {
    /// `1.25 s`
    var inSeconds: String {
        let hundredths = milliseconds / 10
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) s"
    }
}
