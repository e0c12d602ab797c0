import Foundation
import NIOCore

extension Bench {
    /// Measures what viewers cost that wait for a silent model, and how much later than the owner's
    /// client a viewer receives a token.
    func followers(_ path: String) async throws {
        let (viewers, sessions) = (followerCount, 100)
        say("\nfollowers: \(sessions) steps on one replica whose model is silent, \(viewers) viewers of them on another")
        let setup = try await Setup(server: path, replicas: 2)
        defer { for server in setup.servers { server.stop(SIGKILL) } }
        let (group, ports) = (setup.group, setup.ports)
        async let steps = LoadClient.run(clients: sessions, port: ports[0], group: group) { client, n in
            n < 1 ? LoadClient.message("hold 1", session: "v-\(client)") : nil
        }
        try await Setup.wait("all steps") { setup.upstream.heldCount == sessions }
        let replica = setup.servers[1]
        let (memory, files) = (replica.residentKiB, replica.openFiles)
        async let watching = LoadClient.run(clients: viewers, port: ports[1], group: group) { client, n in
            n < 1 ? StreamClient.join("v-\(client % sessions)") : nil
        }
        try await Setup.wait("all viewers") { replica.openFiles - files >= viewers }
        // By then the last viewer has read all events and waits.
        try await Task.sleep(for: .seconds(3))
        say(
            "  \(format((replica.residentKiB - memory) / Double(viewers), 1)) KiB per viewer, \(format(replica.residentKiB / 1024, 1)) MiB in all"
        )
        let (cpu, redis, seconds) = (replica.cpuSeconds, setup.redis.cpuSeconds, 10.0)
        try await Task.sleep(for: .seconds(seconds))
        say(
            "  while nothing happens: \(format(100 * (replica.cpuSeconds - cpu) / seconds, 1)) % of a core, Redis \(format(100 * (setup.redis.cpuSeconds - redis) / seconds, 1)) %"
        )
        try await delay(ports, session: "d-1", what: "a step while they wait, followed on the other replica")
        setup.upstream.release()
        let results = try await [steps, watching]
        for failure in results.flatMap(\.failures).prefix(3) { say("    a failure: \(failure)") }
        say("  \(results[1].turns) of \(viewers) viewers saw the end")
        try await delay(ports, session: "d-2", what: "a step without them, followed on the other replica")
        try await setup.stop()
    }

    /// Measures 100 tokens, one every 20 ms.
    private func delay(_ ports: [Int], session: String, what: String) async throws {
        async let owner = Self.delays(port: ports[0], LoadClient.message("pace 20", session: session))
        async let viewer = Self.delays(port: ports[1], StreamClient.join(session))
        let (own, seen) = try await (owner, viewer)
        say("  \(what): ms from the model to the client")
        row([("", 12), ("p50", 8), ("p99", 8), ("tokens", 8)])
        for (name, delays) in [("owner", own), ("viewer", seen)] {
            row([(name, 12), (format(delays.median), 8), (format(delays.percentile(0.99)), 8), ("\(delays.count)", 8)])
        }
    }

    /// Measures the milliseconds from the time that a token holds to its arrival. Repeats the
    /// request until the session exists.
    private static func delays(port: Int, _ request: ByteBuffer) async throws -> [Double] {
        while true {
            let client = try await StreamClient(port: port, request)
            var delays: [Double] = []
            while let event = try await client.next() {
                let now = NIODeadline.now().uptimeNanoseconds
                if let mark = event.data.firstRange(of: #""token":"t="#) {
                    let digits = event.data[mark.upperBound...].prefix { $0.isNumber }
                    if let sent = UInt64(digits) { delays.append(Double(now - sent) / 1e6) }
                }
                if event.name == "done" { return delays }
            }
        }
    }
}
