import ArgumentParser
import Foundation
import JSONText
import NIOCore
import SessionStore

/// `agent-server keys`: makes keys, and the entries of a keys file.
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Makes keys for clients, and their entries in the keys file; see docs/security.md.",
        subcommands: [New.self, Hash.self]
    )

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a new key, and on the next line its entry in the keys file. Nothing keeps the key.")

        @Option(help: "The key's name in the file and in logs: 1–64 of A-Z a-z 0-9 . _ -")
        var id: String

        @Option(help: "The tenant whose sessions the key opens. Without it, the standard tenant.")
        var tenant: String?

        @Option(help: "The user whose sessions the key opens; * for all of the tenant.")
        var subject = "*"

        @Option(help: "What the key may do: scopes, separated by commas.")
        var scopes = "sessions:*"

        @Option(help: "When the key ends, as in 2027-01-01T00:00:00Z. Without it, never.")
        var notAfter: String?

        func run() throws {
            guard KeysFile.Key.isID(id) else { throw Exit.usage("keys new: --id \(KeysFile.Key.idRule)") }
            guard tenant.map({ TenantID(named: $0) != nil }) ?? true else { throw Exit.usage("keys new: --tenant \(TenantID.rule)") }
            guard subject == "*" || Subject(subject) != nil else { throw Exit.usage("keys new: --subject must be *, or \(Subject.rule)") }
            let names = scopes.split(separator: ",").map { String($0.trimmingSpaces) }
            guard !names.isEmpty, names.allSatisfy({ Scopes(name: $0) != nil }) else {
                throw Exit.usage("keys new: --scopes must be \(Scopes.rule), separated by commas")
            }
            guard notAfter.map({ Date(rfc3339: $0) != nil }) ?? true else {
                throw Exit.usage("keys new: --not-after must be a time as in 2027-01-01T00:00:00Z")
            }
            var members: [(String, String)] = []
            if let tenant { members.append(("tenant", Self.json(tenant))) }
            members.append(("subject", Self.json(subject)))
            members.append(("scopes", "[\(names.map(Self.json).joined(separator: ","))]"))
            if let notAfter { members.append(("not_after", Self.json(notAfter))) }
            let key = NewKey(id: id, members: members)
            print(key.text)
            print(key.entry)
        }

        private static func json(_ text: String) -> String { CheckedJSON(string: text).text }
    }

    struct Hash: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads a key from standard input, and prints its sha256 for the keys file.")

        func run() throws {
            guard let key = readLine(), readLine() == nil, key.utf8.count >= KeyTable.shortestKey else {
                throw Exit.usage("keys hash: standard input must be one line, a key of at least \(KeyTable.shortestKey) characters")
            }
            print(KeyDigest(of: key).hexadecimal)
        }
    }
}
