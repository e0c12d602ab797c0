import Testing

@testable import SessionStore

@Suite("Session ids")
struct SessionIDTests {
    @Test("Exactly the allowed bytes are accepted")
    func everyByteIsAllowedOrNot() {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-".unicodeScalars)
        for value in UInt32(0)...0x2FF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let isAlone = allowed.contains(scalar) && scalar != "."
            #expect((SessionID(String(Character(scalar))) != nil) == isAlone, "U+\(String(value, radix: 16))")
            #expect((SessionID("a\(Character(scalar))b") != nil) == allowed.contains(scalar))
        }
    }

    @Test("An id has at most 128 bytes")
    func hasAtMost128Bytes() {
        #expect(SessionID("") == nil)
        #expect(SessionID(".") == nil && SessionID("..") == nil && SessionID("...") != nil)
        #expect(SessionID(String(repeating: "a", count: 128))?.text.count == 128)
        #expect(SessionID(String(repeating: "a", count: 129)) == nil)
        #expect(SessionID("e\u{301}") == nil)
        #expect(SessionID("a b".prefix(1))?.description == "a")
    }

    /// For every session id, all keys of the session are in one slot of a Cluster.
    @Test("All keys of a session share one hash tag", arguments: ["a", "s-1", "...", ":", "a:b_c.D-9"])
    func allKeysShareTheHashTag(text: String) throws {
        let keys = RedisKeys(try #require(SessionID(text)))
        #expect(keys.all == ["history", "state", "pending", "ledger", "events", "steps", "reasoning"].map { "agent:{\(text)}:\($0)" })
        for key in keys.all + [keys.wake] {
            let open = try #require(key.firstIndex(of: "{"))
            let close = try #require(key.firstIndex(of: "}"))
            #expect(key[key.index(after: open)..<close] == text)
        }
        #expect((0..<RedisKeyspace.bucketCount).contains(keys.bucket))
        #expect(keys.index == "agent:sessions:default:\(keys.bucket)")
        #expect(keys.running == "agent:running:\(keys.bucket)")
    }
}
