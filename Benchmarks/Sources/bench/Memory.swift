import Foundation
import NIOCore

extension Bench {
    /// Measures the memory of an open stream: client socket, upstream socket and turn.
    func memory(_ path: String) async throws {
        say("\nmemory: \(streams) open streams, after as many have opened and closed")
        let setup = try await Setup(server: path)
        let streams = streams
        var resident: [Double] = [setup.server.residentKiB]
        for round in 0..<2 {
            let before = setup.server.residentKiB
            let (port, group) = (setup.port, setup.group)
            async let load = LoadClient.run(clients: streams, port: port, group: group) { client, n in
                n < 1 ? LoadClient.message("hold 1", session: "m-\(round)-\(client)") : nil
            }
            try await Setup.wait("all streams") { setup.upstream.heldCount == streams }
            let open = setup.server.residentKiB
            resident.append(open)
            say(
                "  round \(round + 1): \(format((open - before) / Double(streams), 1)) KiB more per stream, \(format(open / 1024, 1)) MiB in all"
            )
            setup.upstream.release()
            let result = try await load
            if let failure = result.failures.first { say("    \(result.failures.count) failures, the first: \(failure)") }
        }
        say("  per open stream, counted from the start: \(format((resident[1] - resident[0]) / Double(streams), 1)) KiB")
        try await setup.stop()
    }
}
