import Foundation
import LocalDeployment
import RedisClient
import SessionStore

/// What a person sees while a drill runs: on a terminal a few lines that are drawn anew, elsewhere a line now and then.
struct LiveView: Sendable {
    let progress: Progress
    let duration: Duration
    let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1

    func run() async {
        guard !isQuiet else { return }
        var drawn = 0
        var second = 0
        while !Task.isCancelled {
            if isTerminal {
                // A line that the terminal breaks would be two, and the next picture stand in the wrong place.
                let lines = lines().map { String($0.prefix(Self.columns - 1)) }
                let back = drawn > 0 ? "\u{1B}[\(drawn)A" : ""
                print(back + lines.map { "\u{1B}[2K" + $0 }.joined(separator: "\n"))
                drawn = lines.count
            } else if second % 10 == 0 {
                print(lines().first ?? "")
            }
            second += 1
            try? await Task.sleep(for: .seconds(1))
        }
    }

    func print(_ text: String) {
        guard !isQuiet else { return }
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    /// Of the terminal; 80 where it does not say.
    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 10 else { return 80 }
        return Int(size.ws_col)
    }

    private func lines() -> [String] {
        let (counts, faults, elapsed) = (progress.counts, progress.faults, progress.elapsed)
        let share = min(1, Double(elapsed.milliseconds) / Double(max(1, duration.milliseconds)))
        let filled = Int(share * 30)
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        let time = "\(elapsed.components.seconds)/\(duration.components.seconds) s"
        let figures =
            "turns \(counts.turns)  tokens \(counts.tokens)  again \(counts.retries)  anew \(counts.restarts)  failed \(counts.failedAnswers)"
            + "  longest wait \(counts.longestSilence.inSeconds)  faults \(faults.count)"
        guard isTerminal else { return ["\(time)  \(figures)"] }
        let recent = faults.suffix(5).map { fault in
            let took = fault.ended.map { ($0 - fault.begun).inSeconds } ?? "now"
            return "  \(fault.begun.components.seconds) s  \(fault.name)  \(fault.failed ? "FAILED " : "")\(fault.detail)  \(took)"
        }
        return ["\(bar) \(time)", "  " + figures] + recent + Array(repeating: "", count: 5 - recent.count)
    }
}
