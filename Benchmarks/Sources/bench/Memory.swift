import Foundation
import NIOCore

extension Bench {
    /// What a stream costs while it is open: client socket, upstream socket and turn.
    func memory(_ path: String) async throws {
        print("\nmemory: \(streams) streams open at once, after as many have come and gone")
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
            print(
                "  round \(round + 1): \(format((open - before) / Double(streams), 1)) KiB more per stream, \(format(open / 1024, 1)) MiB in all"
            )
            setup.upstream.release()
            let result = try await load
            if let failure = result.failures.first { print("    \(result.failures.count) failures, the first: \(failure)") }
        }
        print("  per open stream, counted from the start: \(format((resident[1] - resident[0]) / Double(streams), 1)) KiB")
        try await setup.stop()
    }
}
