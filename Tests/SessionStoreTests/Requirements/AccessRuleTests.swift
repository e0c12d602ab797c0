import Foundation
import RedisClient
import TestSupport
import Testing

/// Compares the rules of docs/operations.md with the commands in the sources: every command is
/// allowed, and no other.
@Suite("Redis access rules")
struct AccessRuleTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardizedFileURL

    @Test("The rules are those of docs/operations.md")
    func theRulesAreThoseOfTheDocumentation() throws {
        let text = try String(contentsOf: Self.root.appending(path: "docs/operations.md"), encoding: .utf8)
        let rules = text.split(separator: "\n").filter { $0.hasPrefix("user agent ") }
        #expect(
            rules.map { $0.split(separator: " ").dropFirst(2).map(String.init) } == [
                AccessRules.server, AccessRules.clusterNode, AccessRules.sentinel,
            ])
    }

    /// The commands that a rule allows.
    private func allowed(_ rule: [String]) -> Set<String> {
        Set(rule.filter { $0.hasPrefix("+") }.map { String($0.dropFirst()) })
    }

    /// Returns commands by the files that send them, in lower case, with a subcommand if it has
    /// one.
    private func commands() throws -> [String: String] {
        var commands: [String: String] = [:]
        let files = try ["RedisClient", "SessionStore"].flatMap { target in
            let folder = Self.root.appending(path: "Sources/\(target)")
            return Array(try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)))
        }
        for case let file as URL in files where ["swift", "lua"].contains(file.pathExtension) {
            // These commands go only to the private server, whose user has all rights.
            if file.lastPathComponent.hasPrefix("EmbeddedRedis") { continue }
            let text = try String(contentsOf: file, encoding: .utf8)
            let found =
                text.matches(of: /RedisCommand\(\s*"([A-Z]+)"(?:, "([A-Z-]+)")?/).map { ($0.output.1, $0.output.2) }
                + text.matches(of: /redis\.p?call\('([A-Z]+)'/).map { ($0.output.1, nil) }
                + text.matches(of: /"(EVALSHA|S?(?:UN)?SUBSCRIBE|S?PUBLISH)"/).map { ($0.output.1, nil) }
            for (name, argument) in found {
                let subcommand = ["CLUSTER", "CLIENT", "SENTINEL"].contains(name) ? argument.map { "|\($0)" } ?? "" : ""
                commands["\(name)\(subcommand)".lowercased()] = file.lastPathComponent
            }
        }
        // Swift sends this command as bytes, with the script's text.
        commands["eval"] = "RedisScript.swift"
        // Every client that may connect may authenticate.
        commands["auth"] = nil
        // `agent-server layout raise` works without this right, and says so.
        commands["client|list"] = nil
        return commands
    }

    @Test("The rules allow exactly the commands that the sources send")
    func theRulesAllowWhatIsSentAndNothingElse() throws {
        let commands = try commands()
        #expect(commands.count > 40)
        let ofClusters: Set = ["asking", "cluster|slots", "cluster|info", "spublish", "ssubscribe", "sunsubscribe"]
        let ofSentinels: Set = ["sentinel|get-master-addr-by-name"]
        let all = Set(commands.keys)
        #expect(allowed(AccessRules.server) == all.subtracting(ofClusters).subtracting(ofSentinels))
        // A Cluster supports only one database, and its table of slots names its masters.
        #expect(allowed(AccessRules.clusterNode) == all.subtracting(ofSentinels).subtracting(["role", "select"]))
        #expect(allowed(AccessRules.sentinel) == ofSentinels.union(["ping", "client|setname", "subscribe", "unsubscribe"]))
    }
}
