import Foundation
import NIOCore

extension Bench {
    /// Measures how long a viewer waits for the next token when the replica that runs its step is
    /// killed. The viewer connects to another replica at once.
    func failover(_ path: String) async throws {
        say("\nfailover: kill -9 of the owner in the middle of a response; the viewer resumes on the other replica; 10 runs each")
        row([("lease s", 8), ("ms until the next token: median", 32), ("longest", 8), ("answers lost", 12)])
        for lease in [3000, 1000] {
            var waits: [Double] = []
            var lost = 0
            for run in 0..<10 {
                let setup = try await Setup(server: path, replicas: 2, environment: ["AGENT_RUNTIME__LEASE_MS": "\(lease)"])
                defer { for server in setup.servers { server.stop(SIGKILL) } }
                // A new replica takes over no step for one lease, since it cannot know whether
                // Redis was away.
                try await Task.sleep(for: .milliseconds(lease + 1000))
                let session = "f-\(run)"
                let owner = try await StreamClient(port: setup.ports[0], LoadClient.message("pace 20", session: session))
                guard let seen = try await owner.read(until: .random(in: 20...80)) else {
                    throw Failure(description: "the stream ended early")
                }
                setup.servers[0].stop(SIGKILL)
                let killed = NIODeadline.now()
                // The viewer reconnects from the last id, as a client does, until `done`.
                var last = seen
                var isDone = false
                var next: NIODeadline?
                while !isDone, NIODeadline.now() - killed < .seconds(60) {
                    guard let viewer = try? await StreamClient(port: setup.ports[1], StreamClient.resume(session, after: last)) else {
                        continue
                    }
                    while let event = try await viewer.next() {
                        if let id = event.id { last = id }
                        if event.data.contains(#""token":"t="#), next == nil { next = .now() }
                        if event.name == "done" { isDone = event.data.contains("completed") }
                    }
                }
                if isDone, let next { waits.append(Double((next - killed).nanoseconds) / 1e6) } else { lost += 1 }
                try await setup.stop()
            }
            row([(format(Double(lease) / 1000, 1), 8), (format(waits.median, 0), 32), (format(waits.max() ?? 0, 0), 8), ("\(lost)", 12)])
        }
    }
}
