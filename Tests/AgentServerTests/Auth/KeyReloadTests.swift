import Foundation
import Locks
import SessionStore
import TestSupport
import Testing

@testable import agent_server

#if canImport(Glibc)
import Glibc
#endif

@Suite("Keys of a running server", .tags(.processes), .serialized)
struct KeyReloadTests {
    let redis: RedisServer
    let upstream: Upstream

    init() async throws {
        (redis, upstream) = (try await RedisServer.shared(), try await Upstream.start())
    }

    private func replica(_ file: URL, _ environment: [String: String] = [:]) async throws -> Replica {
        try await Replica.start(
            redis: redis.url, upstream: upstream.url,
            environment: ["AGENT_RUNTIME__KEYS_FILE": file.path].merging(environment) { $1 })
    }

    private func status(_ replica: Replica, _ key: String) async throws -> Int {
        try await replica.client.get("/agent/sessions?limit=1", headers: ["X-Internal-Auth": key]).status
    }

    /// First both keys are valid, then the new one alone. Meanwhile clients send requests with both.
    @Test("Keys are rotated under load: no valid key is refused, and the old one ends")
    func rotation() async throws {
        let file = try KeyFiles.write(KeyFiles.text([KeyFiles.entry("old")]))
        let replica = try await replica(file)
        let (old, new) = (KeyFiles.key("old"), KeyFiles.key("new"))
        #expect(try await status(replica, old) == 200)
        #expect(try await status(replica, new) == 401)
        let tally = Tally()
        try await withThrowingTaskGroup(of: Void.self) { clients in
            // Each client uses the key that is valid for it throughout.
            for index in 0..<8 {
                clients.addTask {
                    while !Task.isCancelled {
                        let mayUseOld = tally.retired.withLock { !$0 }
                        guard index % 2 == 0 || mayUseOld else { return }
                        let key = index % 2 == 0 ? "always" : "old"
                        let code = try await status(replica, KeyFiles.key(key))
                        if code != 200, index % 2 == 0 || tally.retired.withLock({ !$0 }) { tally.refused.withLock { $0.append("\(key): \(code)") } }
                        tally.served.withLock { $0 += 1 }
                    }
                }
            }
            let always = KeyFiles.entry("always")
            try KeyFiles.replace(file, with: KeyFiles.text([KeyFiles.entry("old"), always]))
            try await eventually("the next table") { try await status(replica, KeyFiles.key("always")) == 200 }
            tally.refused.withLock { $0 = [] }
            // Rotations under load: the tables differ, and all have both keys.
            for round in 0..<5 {
                let keys = [KeyFiles.entry("old"), always, KeyFiles.entry("r\(round)")]
                try KeyFiles.replace(file, with: KeyFiles.text(round % 2 == 0 ? keys : keys.reversed()))
                try await eventually("round \(round)") { try await status(replica, KeyFiles.key("r\(round)")) == 200 }
            }
            tally.retired.withLock { $0 = true }
            try KeyFiles.replace(file, with: KeyFiles.text([KeyFiles.entry("new"), always]))
            try await eventually("the old key has ended") { try await status(replica, old) == 401 }
            #expect(try await status(replica, new) == 200)
            clients.cancelAll()
            while (try? await clients.next()) != nil {}
        }
        #expect(tally.refused.withLock { $0 } == [] && tally.served.withLock { $0 } > 100)
        for id in ["old", "new", "always"] { #expect(!replica.process.log.contains(KeyFiles.key(id))) }
        try await replica.stop()
    }

    @Test("A half-written file changes nothing, and the log says where it is wrong")
    func aHalfWrittenFile() async throws {
        let good = KeyFiles.text([KeyFiles.entry("k")])
        let file = try KeyFiles.write(good)
        let replica = try await replica(file)
        for broken in [String(good.dropLast(10)), "", #"{"keys":[{"id":"k","sha256":"s3cret"}]}"#] {
            let before = replica.process.log.utf8.count
            _ = try KeyFiles.write(broken, to: file)
            try await eventually("an error in the log") { replica.process.log.dropFirst(before).contains("stay in use") }
            #expect(try await status(replica, KeyFiles.key("k")) == 200)
        }
        #expect(replica.process.log.contains("keys[0] (k), sha256") && replica.process.log.contains("line 1, column"))
        #expect(!replica.process.log.contains("s3cret"))
        _ = try KeyFiles.write(KeyFiles.text([KeyFiles.entry("l")]), to: file)
        try await eventually("the next table") { try await status(replica, KeyFiles.key("l")) == 200 }
        #expect(try await status(replica, KeyFiles.key("k")) == 401)
        try await replica.stop()
    }

    @Test("SIGHUP reads the file again, changed or not, and a file that others may read is warned of")
    func theSignal() async throws {
        let file = try KeyFiles.write(KeyFiles.text([KeyFiles.entry("k")]))
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file.path)
        let replica = try await replica(file)
        #expect(replica.process.log.contains("users other than its owner may read") && replica.process.log.contains("644"))
        #expect(!replica.process.log.contains("were read again"))
        replica.process.signal(SIGHUP)
        try await eventually("it is read") { replica.process.log.contains("credentials were read again") }
        #expect(try await status(replica, KeyFiles.key("k")) == 200)
        #expect(try await replica.stop() == 0)
    }

    @Test("An expired key is named in the log, and an unknown one is not")
    func expiredKeysInTheLog() async throws {
        let file = try KeyFiles.write(KeyFiles.text([KeyFiles.entry("ended", ["not_after": "2020-01-01T00:00:00Z"])]))
        let replica = try await replica(file, ["AGENT_RUNTIME__LOG_FORMAT": "json"])
        #expect(try await status(replica, KeyFiles.key("ended")) == 401)
        #expect(try await status(replica, KeyFiles.key("other")) == 401)
        let expired = try await LogLines.first(replica, "the line") { $0["key"] == "expired" }
        #expect(expired["credential"] == "ended" && expired["client_address"] == "127.0.0.1")
        let wrong = try await LogLines.first(replica, "the line") { $0["key"] == "wrong" }
        #expect(wrong["credential"] == "none")
        #expect(!replica.process.log.contains("ark_"))
        try await replica.stop()
    }

    @Test(
        "A keys file that cannot be used stops the start, as do settings that contradict it",
        arguments: [
            (#"{"keys":[{"id":"k","sha256":"s3cret"}]}"#, [:], "keys[0] (k), sha256"), ("{", [:], "line 1, column 2"),
            (#"{"keys":[]}"#, ["AGENT_RUNTIME__INTERNAL_API_KEY": "fifteen-s3crets"], "AGENT_RUNTIME__INTERNAL_API_KEY"),
            (
                #"{"keys":[]}"#,
                ["AGENT_RUNTIME__LLM_PROXY_URL": "http://localhost:1", "AGENT_RUNTIME__LLM_INTERNAL_AUTH": "internal"],
                "AGENT_RUNTIME__LLM_INTERNAL_AUTH"
            ),
        ] as [(String, [String: String], String)])
    func unusable(_ text: String, environment: [String: String], words: String) async throws {
        let file = try KeyFiles.write(text)
        let process = try Replica.launch(
            redis: redis.url, environment: ["AGENT_RUNTIME__KEYS_FILE": file.path].merging(environment) { $1 })
        #expect(try await process.ended() == 64)
        let lines = process.log.split(separator: "\n")
        #expect(lines.count == 1 && process.log.contains(words) && process.log.contains("AGENT_RUNTIME__KEYS_FILE"), "\(process.log)")
        #expect(!process.log.contains("s3cret"))
    }

    @Test("The clients' keys do not go to the model's server")
    func theModelsServerGetsNoKey() async throws {
        let file = try KeyFiles.write(KeyFiles.text([KeyFiles.entry("k")]))
        let replica = try await replica(file, ["AGENT_RUNTIME__INTERNAL_API_KEY": "sixteen-letters!"])
        for key in [KeyFiles.key("k"), "sixteen-letters!"] {
            let answer = try await replica.client.say("x", in: SessionID.unique().text, headers: ["X-Internal-Auth": key])
            #expect(answer.done["status"] == "completed")
            #expect(upstream.requests.last?.headers["x-internal-auth"] == nil && upstream.requests.last?.headers["authorization"] == nil)
        }
        try await replica.stop()
    }
}

/// What the clients of a rotation share.
private final class Tally: Sendable {
    let refused = Guarded<[String]>([])
    let served = Guarded(0)
    let retired = Guarded(false)
}
