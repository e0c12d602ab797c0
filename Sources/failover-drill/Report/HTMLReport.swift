import Foundation
import RedisClient
import SessionStore

/// A self-contained page for a browser: the figures, and a time line of faults and of the clients'
/// waits.
struct HTMLReport {
    let summary: Summary

    private let width = 1100.0
    private let height = 320.0
    private let left = 60.0
    private let top = 20.0

    var text: String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>\(escape(summary.title))</title>
        <style>
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #222; background: #fff }
        table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #ddd }
        td.n { text-align: right; font-variant-numeric: tabular-nums } svg { width: 100%; height: auto }
        .ok { color: #176f2c } .bad { color: #b3261e; font-weight: 600 } text { font-size: 11px; fill: #444 }
        @media (prefers-color-scheme: dark) { body { background: #16181c; color: #ddd } text { fill: #bbb } td, th { border-color: #333 } }
        </style></head><body>
        <h1>\(escape(summary.title))</h1>
        <p class="\(summary.isSound ? "ok" : "bad")">\(summary.isSound ? "Everything held." : "Not everything held.") Seed \(summary.seed).</p>
        \(timeLine)
        <p>Each dot shows the longest wait for the next event among the requests that began in that second (red: more than one second). Each band shows a fault.</p>
        \(figures)
        \(violations)
        \(faults)
        </body></html>
        """
    }

    private var seconds: Double { max(1, Double(summary.duration.milliseconds) / 1000) }

    private func x(_ at: Duration) -> Double { left + Double(at.milliseconds) / 1000 / seconds * (width - left - 10) }

    /// Places a wait on a logarithmic axis from one millisecond to 100 seconds.
    private func y(_ wait: Duration) -> Double {
        let decades = log10(max(1, Double(wait.milliseconds)))
        return top + (1 - min(decades, 5) / 5) * height
    }

    private var timeLine: String {
        var parts: [String] = []
        for (index, fault) in summary.faults.enumerated() {
            let from = x(fault.begun)
            let to = max(from + 2, x(fault.ended ?? summary.duration))
            parts.append(
                "<rect x='\(fixed(from))' y='\(top)' width='\(fixed(to - from))' height='\(height)' fill='\(fault.failed ? "#b3261e" : "#e8a33d")' opacity='.28'><title>\(escape(fault.name)): \(escape(fault.detail))</title></rect>"
            )
            let line = top + height + 14 + Double(index % 4) * 13
            parts.append("<text x='\(fixed(from))' y='\(fixed(line))'>\(escape(fault.name))</text>")
        }
        for decade in 0...5 {
            let line = top + (1 - Double(decade) / 5) * height
            let name = ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"][decade]
            parts.append("<line x1='\(left)' x2='\(width - 10)' y1='\(fixed(line))' y2='\(fixed(line))' stroke='#8884'/>")
            parts.append("<text x='4' y='\(fixed(line + 4))'>\(name)</text>")
        }
        let bySecond = Dictionary(grouping: summary.samples) { $0.at.components.seconds }
        for (second, samples) in bySecond.sorted(by: { $0.key < $1.key }) {
            let longest = samples.map(\.longestSilence).max() ?? .zero
            let color = longest > .seconds(1) ? "#b3261e" : "#2a6fdb"
            parts.append("<circle cx='\(fixed(x(.seconds(second))))' cy='\(fixed(y(longest)))' r='2.2' fill='\(color)'/>")
        }
        return "<svg viewBox='0 0 \(width) \(top + height + 70)' role='img' aria-label='Waits and faults over time'>\(parts.joined())</svg>"
    }

    private var figures: String {
        let counts = summary.counts
        let rows: [(String, String)] = [
            ("steps", "\(counts.turns)"), ("of which failed and were retried", "\(counts.failedAnswers)"),
            ("text deltas", "\(counts.tokens)"),
            ("sessions", "\(summary.sessions)"), ("messages", "\(summary.messages)"), ("faults", "\(summary.faults.count)"),
            ("requests retried or resumed", "\(counts.retries)"), ("texts restarted", "\(counts.restarts)"),
            ("longest wait, median", summary.silence(0.5).inSeconds), ("longest wait, 99th percentile", summary.silence(0.99).inSeconds),
            ("longest wait", counts.longestSilence.inSeconds),
        ]
        let violations = Violation.Kind.allCases.map { ("violations: \($0.title)", "\(summary.count($0))") }
        return table(["", ""], (rows + violations).map { [$0.0, $0.1] })
    }

    private var violations: String {
        let rows =
            summary.violations.map { [$0.kind.rawValue, $0.session, $0.detail] } + summary.modelViolations.map { ["model", "", $0] }
        return rows.isEmpty ? "" : "<h2 class='bad'>Violations</h2>" + table(["kind", "session", ""], rows)
    }

    private var faults: String {
        let rows = summary.faults.map { fault in
            [fault.begun.inSeconds, fault.name, fault.detail, fault.ended.map { ($0 - fault.begun).inSeconds } ?? ""]
        }
        return "<h2>Faults</h2>" + table(["at", "fault", "", "repaired after"], rows)
    }

    private func table(_ head: [String], _ rows: [[String]]) -> String {
        let body = rows.map { row in "<tr>" + row.map { "<td>\(escape($0))</td>" }.joined() + "</tr>" }.joined()
        return "<table><tr>\(head.map { "<th>\(escape($0))</th>" }.joined())</tr>\(body)</table>"
    }

    private func fixed(_ number: Double) -> String { String(format: "%.1f", number) }

    private func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("'", with: "&#39;")
            .replacing("\"", with: "&quot;")
    }
}
