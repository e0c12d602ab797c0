import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("Cluster slots of keys", .tags(.redis), .serialized)
struct ClusterSlotTests {
    @Test("All keys of a session lie in the slot that Redis computes", arguments: 0..<2)
    func allKeysOfASessionLieInTheSlotThatRedisComputes(seed: UInt64) async throws {
        let redis = try await RedisServer.start(["--cluster-enabled", "yes", "--cluster-port", "\(freePort())"])
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        var random = SeededGenerator(seed: seed)
        let alphabet = Array("ABCXYZabcxyz0189._:-")
        for _ in 0..<100 {
            let text = String((0..<Int.random(in: 1...128, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
            let keys = RedisKeys(try #require(SessionID(text)))
            let names = keys.all + [keys.wake]
            let slots = try await connection.send(pipeline: names.map { RedisCommand("CLUSTER", "KEYSLOT", $0) })
                .map { try $0.get().integer }
            let slot = Int64(CRC16.checksum(text.utf8) % 16_384)
            #expect(slots == Array(repeating: slot, count: names.count), "seed \(seed): \(text)")
            #expect(Set(names).count == RedisKeys.scriptKeys.count + 1)
            #expect(keys.bucket == Int(slot % 16), "seed \(seed): \(text)")
        }
        try await redis.kill()
    }

    @Test("A prefix with the hash tag is enough")
    func aPrefixThatHoldsTheTagIsEnough() throws {
        for _ in 0..<100 {
            let keys = RedisKeys(.unique())
            let slot = ClusterSlots.slot(of: keys.prefix)
            #expect((keys.all + [keys.wake]).allSatisfy { ClusterSlots.slot(of: $0) == slot })
        }
    }

    @Test("The indexes are spread over sixteen keys")
    func theIndexesAreSpreadOverSixteenKeys() {
        let keys = (0..<2_000).map { _ in RedisKeys(.unique()) }
        #expect(Set(keys.map(\.bucket)) == Set(0..<16))
        #expect(keys.allSatisfy { $0.index == "agent:sessions:default:\($0.bucket)" && $0.running == "agent:running:\($0.bucket)" })
    }
}
