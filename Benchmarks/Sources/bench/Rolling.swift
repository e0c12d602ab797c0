import Foundation
import NIOCore
import Synchronization

extension Bench {
    /// Restarts three replicas under load, one after another. The clients behave as clients should:
    /// they repeat a request with the same `Idempotency-Key` until the service accepts it, and
    /// resume after the last id when a stream ends without `done`.
    func rolling(_ path: String) async throws {
        say(
            "\nrolling: 60 clients with responses of 2 s; three replicas restart in turn, twice; steps have 1 s to end before they are handed over"
        )
        let setup = try await Setup(server: path, replicas: 3, environment: ["AGENT_RUNTIME__DRAIN_SECONDS": "1"])
        let flag = Flag()
        let ports = setup.ports
        let result = try await withThrowingTaskGroup(of: RollingResult.self) { tasks in
            for client in 0..<60 {
                tasks.addTask {
                    var result = RollingResult()
                    var turn = 0
                    while !flag.isSet {
                        await result.converse("r-\(client)", key: "r-\(client)-\(turn)", ports: ports)
                        turn += 1
                    }
                    return result
                }
            }
            for _ in 0..<2 {
                for index in ports.indices {
                    try await Task.sleep(for: .seconds(1))
                    try await setup.restart(index)
                }
            }
            try await Task.sleep(for: .seconds(1))
            flag.set()
            return try await tasks.reduce(into: RollingResult()) { $0.add($1) }
        }
        row([("answers", 8), ("lost", 5), ("resumed", 8), ("void texts", 10), ("longest silence ms", 18), ("p99", 6)])
        row([
            ("\(result.answers)", 8), ("\(result.lost)", 5), ("\(result.resumed)", 8), ("\(result.restarts)", 10),
            (format(result.silences.max() ?? 0, 0), 18), (format(result.silences.percentile(0.99), 0), 6),
        ])
        try await setup.stop()
    }
}

private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

struct RollingResult: Sendable {
    var answers = 0
    var lost = 0
    var resumed = 0
    /// The number of `restart` events, after which a client shows the text anew.
    var restarts = 0
    /// The longest time between two events of each response, in milliseconds.
    var silences: [Double] = []

    mutating func add(_ other: RollingResult) {
        answers += other.answers
        lost += other.lost
        resumed += other.resumed
        restarts += other.restarts
        silences += other.silences
    }

    mutating func converse(_ session: String, key: String, ports: [Int]) async {
        var last: String?
        var text = ""
        var heard = NIODeadline.now()
        var silence = 0.0
        let begun = heard
        while NIODeadline.now() - begun < .seconds(60) {
            let request = last.map { StreamClient.resume(session, after: $0) } ?? StreamClient.post("pace 20", session: session, key: key)
            if last != nil { resumed += 1 }
            guard let port = ports.randomElement(), let stream = try? await StreamClient(port: port, request) else {
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            while let event = (try? await stream.next()) ?? nil {
                let now = NIODeadline.now()
                silence = max(silence, Double((now - heard).nanoseconds) / 1e6)
                heard = now
                if let id = event.id { last = id }
                if event.name == "restart" {
                    restarts += 1
                    text = ""
                }
                if let token = event.data.firstMatch(of: /"token":"(t=[0-9]+ )"/) { text += token.1 }
                guard event.name == "done" else { continue }
                // The text is complete: it has as many tokens as the model sent.
                let isWhole = event.data.contains(#""status":"completed""#) && text.split(separator: " ").count == 100
                if isWhole { answers += 1 } else { lost += 1 }
                silences.append(silence)
                return
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        lost += 1
    }
}
