import Foundation
import LocalDeployment
import RedisClient
import SessionStore

/// Shows a person how a drill goes, on the standard error: a line for each fault, and the figures. A
/// terminal gets the figures every second, below the other lines; a file gets them every ten seconds.
struct LiveView: Sendable {
    let progress: Progress
    let duration: Duration
    let isQuiet: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1

    /// Prints until it is cancelled, and then the lines that are still missing.
    func run() async {
        guard !isQuiet else { return }
        var shown = 0
        var second = 0
        var hasFigures = false
        while true {
            let notices = progress.notices.dropFirst(shown).map { "  " + $0 }
            shown += notices.count
            if isTerminal {
                // The notices replace the last figures, which follow them again.
                let text = (notices + figures).map { "\u{1B}[2K" + fitting($0) }.joined(separator: "\n")
                print((hasFigures ? "\u{1B}[\(figures.count)A" : "") + text)
                hasFigures = true
            } else {
                let lines = notices + (second % 10 == 0 ? [figures.joined(separator: " ")] : [])
                if !lines.isEmpty { print(lines.joined(separator: "\n")) }
            }
            guard !Task.isCancelled else { return }
            second += 1
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Prints a line, unless the drill is quiet.
    func print(_ text: String) {
        guard !isQuiet else { return }
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    private var figures: [String] {
        let (counts, elapsed) = (progress.counts, progress.elapsed)
        let share = min(1, Double(elapsed.milliseconds) / Double(max(1, duration.milliseconds)))
        let filled = Int(share * 30)
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        let time = "\(elapsed.components.seconds)/\(duration.components.seconds) s"
        return [
            isTerminal ? "\(bar) \(time)" : time,
            "  steps \(counts.turns) (\(counts.failedAnswers) failed), text deltas \(counts.tokens), retries \(counts.retries),"
                + " restarts \(counts.restarts), longest wait \(counts.longestSilence.inSeconds)",
        ]
    }

    /// Shortens a line to the terminal's width. A line that the terminal wraps would count as two, and
    /// the next figures would appear in the wrong place.
    private func fitting(_ line: String) -> String { String(line.prefix(Self.columns - 1)) }

    /// The width of the terminal; 80 if the terminal does not report it.
    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 10 else { return 80 }
        return Int(size.ws_col)
    }
}
