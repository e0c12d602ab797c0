import ArgumentParser
import Foundation

/// Measures a server: starts a Redis, the server and a model upstream that costs almost nothing, and puts load on them.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures agent-server. Compare figures of one run with each other: machines differ, and from hour to hour.")

    @Option(help: "The agent-server to measure. Give it twice to compare two builds in one run.")
    var server: [String]

    @Option(
        parsing: .upToNextOption, help: "Which of turns, history, memory, redis, primary, paced, failover, followers, rolling, soak to run."
    )
    var only: [String] = ["turns", "history", "memory", "redis"]

    @Option(help: "Runs of each measurement; the median is shown.")
    var runs = 3

    @Option(help: "Seconds that one run of turns takes.")
    var seconds = 3.0

    @Option(parsing: .upToNextOption, help: "How many sessions have turns at once.")
    var sessions: [Int] = [1, 16, 64, 256]

    @Option(help: "Turns of the soak.")
    var soakTurns = 100_000

    @Option(parsing: .upToNextOption, help: "How many paced streams run at once.")
    var pacedStreams: [Int] = [1, 256]

    @Option(help: "Milliseconds between two tokens of a paced stream.")
    var pace = 10

    @Option(help: "How many answers of each paced stream are counted.")
    var pacedRounds = 4

    @Option(help: "Streams that are open at once for the memory figure.")
    var streams = 1000

    @Option(help: "Viewers that wait at once.")
    var followerCount = 5000

    func run() async throws {
        let known = ["turns", "history", "memory", "redis", "primary", "paced", "failover", "followers", "rolling", "soak"]
        if let unknown = only.first(where: { !known.contains($0) }) { throw ValidationError("there is no \(unknown); there is \(known)") }
        say("\(ProcessInfo.processInfo.activeProcessorCount) cores; 100 tokens per answer; model, client, Redis and server share them")
        for path in server {
            say("\n# \(path)")
            if only.contains("turns") { try await turns(path) }
            if only.contains("history") { try await history(path) }
            if only.contains("memory") { try await memory(path) }
            if only.contains("paced") { try await paced(path) }
            if only.contains("failover") { try await failover(path) }
            if only.contains("followers") { try await followers(path) }
            if only.contains("rolling") { try await rolling(path) }
            if only.contains("soak") { try await soak(path) }
        }
        if only.contains("redis") { try await redis() }
        if only.contains("primary") { try await primary() }
    }
}

extension Array where Element: BinaryFloatingPoint {
    /// 0 for an empty array.
    func percentile(_ share: Double) -> Element {
        guard !isEmpty else { return 0 }
        let sorted = sorted()
        return sorted[Swift.min(count - 1, Int(Double(count) * share))]
    }
    var median: Element { percentile(0.5) }
}

/// Prints a line that is seen at once, also through a pipe.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

func row(_ columns: [(String, Int)]) {
    say(columns.map { text, width in String(repeating: " ", count: max(0, width - text.count)) + text }.joined(separator: "  "))
}

func format(_ value: Double, _ digits: Int = 2) -> String { String(format: "%.\(digits)f", value) }
