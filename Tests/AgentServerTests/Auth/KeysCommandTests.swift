import Foundation
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("agent-server keys", .tags(.processes), .serialized)
struct KeysCommandTests {
    private func keys(_ arguments: String...) async throws -> (code: Int32, lines: [String]) {
        let process = try Replica.launch(redis: nil, arguments: ["keys"] + arguments)
        let code = try await process.ended()
        return (code, process.log.split(separator: "\n").map(String.init))
    }

    @Test("A new key opens a server whose file has its entry")
    func aNewKey() async throws {
        let made = try await keys(
            "new", "--id", "gw-1", "--tenant", "acme", "--subject", #"al"ice"#, "--scopes", "sessions:read, sessions:list", "--not-after",
            "2099-01-01T00:00:00Z")
        try #require(made.code == 0 && made.lines.count == 2, "\(made)")
        #expect(made.lines[0].wholeMatch(of: /ark_gw-1_[A-Za-z0-9_-]{43}/) != nil)
        let key = try #require(try KeyFiles.parse(#"{"keys":[\#(made.lines[1])]}"#).keys.first)
        #expect(key.digest == KeyDigest(of: made.lines[0]) && key.tenant.text == "acme" && key.subject?.text == #"al"ice"#)
        #expect(key.scopes == [.read, .list] && key.notAfter == Date(rfc3339: "2099-01-01T00:00:00Z"))
        let plain = try await keys("new", "--id", "x")
        let entry = try #require(try KeyFiles.parse(#"{"keys":[\#(plain.lines[1])]}"#).keys.first)
        #expect(entry.tenant == .standard && entry.subject == nil && entry.scopes == .sessions && entry.notAfter == nil)
    }

    @Test(
        "What cannot stand in the file is refused",
        arguments: [
            ["--id", "a b"], ["--id", "internal"], ["--id", "k", "--tenant", "a/b"], ["--id", "k", "--subject", ""],
            ["--id", "k", "--scopes", "read"], ["--id", "k", "--scopes", ""], ["--id", "k", "--not-after", "tomorrow"], [],
        ])
    func refused(_ arguments: [String]) async throws {
        let process = try Replica.launch(redis: nil, arguments: ["keys", "new"] + arguments)
        #expect(try await process.ended() == 64)
        #expect(!process.log.contains("ark_"), "\(process.log)")
    }

    @Test("The digest of a key comes from standard input")
    func hash() async throws {
        func hash(_ input: String) async throws -> (code: Int32, text: String) {
            let directory = try temporaryDirectory()
            let file = directory.appending(path: "input")
            try Data(input.utf8).write(to: file)
            let process = try ChildProcess(
                "/bin/sh", ["-c", "exec \"$0\" keys hash < \(file.path)", try Replica.executable().path], directory: directory)
            return (try await process.ended(), process.log)
        }
        let key = "sixteen-letters!"
        for end in ["", "\n", "\r\n"] {
            let hashed = try await hash(key + end)
            #expect(hashed.code == 0 && hashed.text == KeyDigest(of: key).hexadecimal + "\n", "\(hashed)")
        }
        for input in ["", "fifteen-letters", "sixteen-letters!\nsixteen-letters!\n"] { #expect(try await hash(input).code == 64) }
    }
}
