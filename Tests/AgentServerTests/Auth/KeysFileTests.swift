import Foundation
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("The keys file")
struct KeysFileTests {
    @Test("Each member has its meaning")
    func members() throws {
        let file = try KeyFiles.parse(
            KeyFiles.text(
                [
                    KeyFiles.entry("gw-1"),
                    KeyFiles.entry(
                        "a.b_c",
                        [
                            "tenant": "acme", "subject": "alice", "scopes": ["sessions:read", "sessions:list"],
                            "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:30:00+02:00",
                            "limits": ["streams": 1, "requests_per_minute": 2, "tokens_per_minute": 3, "tokens_per_day": 4],
                        ]),
                    KeyFiles.entry("c", ["tenant": "default", "not_after": "2027-01-01T00:00:00.5Z"]),
                ],
                tenants: ["acme": ["session_max_age": 60, "limits": ["streams": 9]], "default": [:]]))
        let (first, second, third) = (file.keys[0], file.keys[1], file.keys[2])
        #expect(first.tenant == .standard && first.subject == nil && first.scopes == .all && first.limits == nil)
        #expect(first.digest == KeyDigest(of: KeyFiles.key("gw-1")) && first.notBefore == nil && first.notAfter == nil)
        #expect(second.tenant == TenantID("acme") && second.subject == Subject("alice") && second.scopes == [.read, .list])
        #expect(second.notBefore == Date(timeIntervalSince1970: 1_767_225_600))
        #expect(second.notAfter == Date(timeIntervalSince1970: 1_798_756_200))
        #expect(second.limits == UsageLimits(streams: 1, requestsPerMinute: 2, tokensPerMinute: 3, tokensPerDay: 4))
        #expect(third.tenant == .standard && third.notAfter == Date(timeIntervalSince1970: 1_798_761_600.5))
        let acme = try #require(TenantID("acme"))
        #expect(
            file.tenants == [acme: TenantPolicy(sessionMaxAge: .seconds(60), limits: UsageLimits(streams: 9)), .standard: TenantPolicy()])
    }

    @Test("A file without keys is a file")
    func noKeys() throws {
        #expect(try KeyFiles.parse(#"{"keys":[]}"#).keys.isEmpty)
        #expect(throws: CredentialFileError.self) { try KeyFiles.parse("{}") }
    }

    private static let digest = String(repeating: "0a", count: 32)
    private static let entries: [([String: JSON], [String])] = [
        (["id": .null], ["keys[0], id"]), (["id": "a b"], ["keys[0], id"]), (["id": ""], ["keys[0], id"]), (["id": 7], ["keys[0], id"]),
        (["id": "internal"], ["keys[0], id", "internal"]), (["id": "jwt"], ["keys[0], id"]),
        (["id": .string(String(repeating: "x", count: 65))], ["keys[0], id"]),
        (["sha256": .null], ["keys[0] (k), sha256"]), (["sha256": "s3cret"], ["keys[0] (k), sha256", "64"]),
        (["sha256": .string(String(digest.dropLast()) + "g")], ["keys[0] (k), sha256"]),
        (["sha256": .string(digest + "00")], ["keys[0] (k), sha256"]),
        (["tenant": "a/s3cret"], ["keys[0] (k), tenant"]), (["tenant": ""], ["tenant"]), (["subject": .null], ["subject"]),
        (["subject": ""], ["subject"]), (["subject": "s3\ncret"], ["subject"]), (["subject": 1], ["subject"]),
        (["scopes": .null], ["scopes"]), (["scopes": "*"], ["scopes", "sessions:read"]), (["scopes": ["s3cret"]], ["scopes"]),
        (["scopes": [1]], ["scopes"]), (["not_after": "tomorrow s3cret"], ["not_after"]), (["not_after": "2027-01-01"], ["not_after"]),
        (["not_after": 1_798_761_600], ["not_after"]), (["not_after": "2027-13-01T00:00:00Z"], ["not_after"]),
        (["not_after": "2026-01-01T00:00:00Z", "not_before": "2026-01-01T00:00:00Z"], ["not_after"]),
        (["not_afer": "2027-01-01T00:00:00Z"], ["keys[0]", "not_after"]), (["limits": 1], ["limits"]),
        (["limits": ["streams": 0]], ["keys[0] (k), limits, streams", "1"]), (["limits": ["streams": .number(1.5)]], ["streams"]),
        (["limits": ["request_per_minute": 1]], ["limits", "requests_per_minute"]),
    ]

    @Test("An error names the entry and the member, and shows no value", arguments: entries)
    func entriesThatCannotBeUsed(_ members: [String: JSON], words: [String]) {
        let error = #expect(throws: CredentialFileError.self) { try KeyFiles.parse(KeyFiles.text([KeyFiles.entry("k", members)])) }
        let text = error?.description ?? ""
        #expect(words.allSatisfy(text.contains) && !text.contains("s3") && !text.contains("cret"), "\(text)")
    }

    @Test(
        "An error names the place in the file",
        arguments: [
            ("", "line 1, column 1"), ("{\n  \"keys\": [\n    s3cret", "line 3, column 5"), ("[]", "the file"),
            (#"{"keys":{}}"#, "keys"), (#"{"keys":[1]}"#, "keys[0]"), (#"{"keys":[],"s3cret":1}"#, "keys, tenants"),
            (#"{"keys":[],"keys":[]}"#, "keys: is there twice"), (#"{"keys":[],"tenants":[]}"#, "tenants"),
            (#"{"keys":[],"tenants":{"a/b":{}}}"#, "tenants"), (#"{"keys":[],"tenants":{"a":1}}"#, "tenants, a"),
            (#"{"keys":[],"tenants":{"a":{},"\u0061":{}}}"#, "tenants"), (#"{"keys":[],"tenants":{"a":{"max_age":1}}}"#, "session_max_age"),
            (#"{"keys":[],"tenants":{"a":{"session_max_age":0}}}"#, "tenants, a, session_max_age"),
            (#"{"keys":[{"id":"a","id":"b"}]}"#, "keys[0], id: is there twice"),
        ])
    func placesInTheFile(_ text: String, place: String) {
        let error = #expect(throws: CredentialFileError.self) { try KeyFiles.parse(text) }
        #expect(error?.description.contains(place) == true && error?.description.contains("s3cret") == false, "\(error?.description ?? "")")
    }

    @Test("Two keys may not have one id or one digest, nor give one subject different limits")
    func duplicates() throws {
        func refusal(_ entries: JSON...) -> String {
            do throws(CredentialFileError) { _ = try KeyFiles.parse(KeyFiles.text(entries)) } catch { return error.description }
            return ""
        }
        let other = JSON.string(Self.digest)
        #expect(refusal(KeyFiles.entry("a"), KeyFiles.entry("b"), KeyFiles.entry("a", ["sha256": other])).contains("keys[0] and keys[2]"))
        #expect(
            refusal(KeyFiles.entry("a", ["sha256": other]), KeyFiles.entry("b", ["sha256": other])).contains("keys[0] (a) and keys[1] (b)"))
        let (two, three): (JSON, JSON) = (["streams": 2], ["streams": 3])
        #expect(
            refusal(KeyFiles.entry("a", ["subject": "u", "limits": two]), KeyFiles.entry("b", ["subject": "u", "limits": three]))
                .contains("keys[0] (a) and keys[1] (b)"))
        // Of two tenants, or with the same limits, or for keys without a user: each has its own.
        for pair in [
            [["subject": "u", "limits": two], ["subject": "u", "limits": three, "tenant": "t"]],
            [["subject": "u", "limits": two], ["subject": "u", "limits": two]], [["subject": "u", "limits": two], ["subject": "u"]],
            [["limits": two], ["limits": three]],
        ] as [[[String: JSON]]] {
            #expect(refusal(KeyFiles.entry("a", pair[0]), KeyFiles.entry("b", pair[1])) == "")
        }
    }

    @Test("No beginning of a file is a file")
    func halfWritten() throws {
        let text = KeyFiles.text([KeyFiles.entry("a", ["limits": ["streams": 1]])], tenants: ["t": [:]])
        for length in 0..<text.utf8.count {
            #expect(throws: CredentialFileError.self) { try KeyFiles.parse(String(text.prefix(length))) }
        }
        #expect(try KeyFiles.parse(text).keys.count == 1)
    }

    @Test("The number of keys is limited")
    func tooMany() {
        // Entries that are refused themselves: the number is checked before them.
        let text = #"{"keys":[\#(Array(repeating: "1", count: KeysFile.maximumKeys + 1).joined(separator: ","))]}"#
        let error = #expect(throws: CredentialFileError.self) { try KeyFiles.parse(text) }
        #expect(error?.description.contains("10000") == true)
    }
}
