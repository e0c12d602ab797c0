import Foundation
import NIOCore

extension Bench {
    /// Measures how long a turn takes for histories of several lengths, and how long the same
    /// request takes when it goes to the upstream directly.
    func history(_ path: String) async throws {
        say("\nhistory: turn time with 200-byte messages, one session, 300 turns on copies of the same history")
        row([("messages", 8), ("turn ms p50", 11), ("upstream alone ms", 17), ("added ms", 8), ("failures", 8)])
        for length in [10, 100, 1000] {
            let setup = try await Setup(server: path)
            let socket = setup.directory.path + "/redis.sock"
            let text = String(repeating: "0123456789", count: 20)
            let messages = (0..<length).map { index in
                index == 0
                    ? #"{"role":"system","content":"s"}"# : #"{"role":"\#(index % 2 == 1 ? "user" : "assistant")","content":"\#(text)"}"#
            }
            let turns = 300
            // COPY costs Redis little, and it gives every turn a history of the same length.
            var commands = ""
            for message in messages { commands += "RPUSH seed '\(message)'\n" }
            for turn in 0..<turns { commands += "COPY seed agent:{h-\(turn)}:history\n" }
            let file = setup.directory.appending(path: "commands")
            try commands.write(to: file, atomically: true, encoding: .utf8)
            _ = try Child.output("sh", ["-c", "redis-cli -s \(socket) < \(file.path)"])
            let result = try await LoadClient.run(clients: 1, port: setup.port, group: setup.group) { _, n in
                n < turns ? LoadClient.message("Hello", session: "h-\(n)") : nil
            }
            let body = #"{"model":"m","stream":true,"messages":[\#(messages.joined(separator: ","))]}"#
            let direct = try await LoadClient.run(clients: 1, port: setup.upstream.port, group: setup.group, marker: "token ") { _, n in
                n < turns ? LoadClient.post("/v1/chat/completions", body) : nil
            }
            let (turn, alone) = (result.whole.median * 1000, direct.whole.median * 1000)
            row([("\(length)", 8), (format(turn), 11), (format(alone), 17), (format(turn - alone), 8), ("\(result.failures.count)", 8)])
            if let failure = result.failures.first { say("    first failure: \(failure)") }
            try await setup.stop()
        }
    }
}
