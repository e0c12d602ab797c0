import ArgumentParser
import Foundation

/// Measures a server: starts a Redis, the server and a model upstream that costs almost nothing,
/// and puts load on them.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures agent-server. Compare figures of one run with each other: machines differ, and from hour to hour.")

    @Option(help: "The agent-server to measure. Give it twice to compare two builds in one run.")
    var server: [String]

    @Option(
        parsing: .upToNextOption,
        help: "The measurements to run, of turns, history, memory, redis, primary, limits, paced, failover, followers, rolling, soak."
    )
    var only: [String] = ["turns", "history", "memory", "redis"]

    @Option(help: "How often each measurement runs; the median is printed.")
    var runs = 3

    @Option(help: "How long one run of turns lasts, in seconds.")
    var seconds = 3.0

    @Option(parsing: .upToNextOption, help: "The numbers of sessions that have turns at the same time.")
    var sessions: [Int] = [1, 16, 64, 256]

    @Option(help: "The number of turns of the soak.")
    var soakTurns = 100_000

    @Option(parsing: .upToNextOption, help: "The numbers of paced streams that run at the same time.")
    var pacedStreams: [Int] = [1, 256]

    @Option(help: "The time between two tokens of a paced stream, in milliseconds.")
    var pace = 10

    @Option(help: "The number of responses of each paced stream that are counted.")
    var pacedRounds = 4

    @Option(help: "The number of open streams of the memory measurement.")
    var streams = 1000

    @Option(help: "The number of viewers that wait at the same time.")
    var followerCount = 5000

    func run() async throws {
        let known = ["turns", "history", "memory", "redis", "primary", "limits", "paced", "failover", "followers", "rolling", "soak"]
        if let unknown = only.first(where: { !known.contains($0) }) {
            throw ValidationError("--only: \(unknown) does not exist; the measurements are \(known.joined(separator: ", "))")
        }
        say("\(ProcessInfo.processInfo.activeProcessorCount) cores, which model, client, Redis and server share; 100 tokens per response")
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
        if only.contains("limits") { try await limits() }
    }
}

extension Array where Element: BinaryFloatingPoint {
    /// Returns the element below which `share` of the elements lie; 0 for an empty array.
    func percentile(_ share: Double) -> Element {
        guard !isEmpty else { return 0 }
        let sorted = sorted()
        return sorted[Swift.min(count - 1, Int(Double(count) * share))]
    }
    var median: Element { percentile(0.5) }
}

/// Prints a line and flushes it, so that it appears at once in a pipe, too.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

func row(_ columns: [(String, Int)]) {
    say(columns.map { text, width in String(repeating: " ", count: max(0, width - text.count)) + text }.joined(separator: "  "))
}

func format(_ value: Double, _ digits: Int = 2) -> String { String(format: "%.\(digits)f", value) }
