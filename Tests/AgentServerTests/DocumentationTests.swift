import AgentService
import Foundation
import HTTPTypes
import SessionStore
import TestSupport
import Testing

@testable import LanguageModels
@testable import agent_server

/// Compares the tables of `docs/` with the code in both directions.
@Suite("The documentation") struct DocumentationTests {
    private static let docs = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs")

    /// The rows of all tables on all pages, as cells.
    private let rows: [[String]]

    init() throws {
        let pages = try FileManager.default.contentsOfDirectory(at: Self.docs, includingPropertiesForKeys: nil)
        var rows: [[String]] = []
        for page in pages where page.pathExtension == "md" {
            let lines = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
            rows += lines.filter { $0.hasPrefix("|") }.map { line in
                line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            }
        }
        self.rows = rows
    }

    private func plain(_ cell: String) -> String { cell.replacing("`", with: "") }

    /// docs/settings.md ends with the output of `agent-server settings`.
    @Test("docs/settings.md has the settings of the code")
    func settings() throws {
        let page = try String(contentsOf: Self.docs.appending(path: "settings.md"), encoding: .utf8)
        let mark = "<!-- The rest of this page is the output of `agent-server settings`. -->\n\n"
        let parts = page.components(separatedBy: mark)
        #expect(parts.count == 2, "docs/settings.md has the mark once")
        #expect(parts.last == SettingsText.markdown, "docs/settings.md has another table than `agent-server settings` prints")
    }

    @Test("The pages that settings refer to have the headings")
    func linksOfSettings() throws {
        for link in Setting.all.compactMap(\.link) {
            let parts = link.split(separator: "#").map(String.init)
            let page = try String(contentsOf: Self.docs.appending(path: parts[0]), encoding: .utf8)
            guard parts.count > 1 else { continue }
            let headings = page.split(separator: "\n").filter { $0.hasPrefix("#") }.map {
                $0.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased().replacing(" ", with: "-")
            }
            #expect(headings.contains(parts[1]), "\(link)")
        }
    }

    @Test("The table of error responses has the codes and statuses of the code")
    func errorCodes() {
        let documented = rows.filter { $0.count == 3 && Int($0[0]).map { 400...599 ~= $0 } == true && $0[1].hasPrefix("`") }.map {
            "\($0[0]) \(plain($0[1]))"
        }
        #expect(documented.count == Set(documented).count)
        #expect(Set(documented) == Set(Problem.Code.allCases.map { "\($0.status.code) \($0.rawValue)" }))
    }

    /// Codes of `error` events that do not come from a model; each with whether the client may
    /// retry.
    private static let stepCodes = [
        "invalid_tool_arguments": true, "takeover_exhausted": true, "store_unavailable": true, "session_deleted": false,
        "session_damaged": false, "events_gone": true,
    ]

    @Test("The table of error events has the codes of the code")
    func codesOfErrorEvents() {
        let documented = rows.filter { $0.count == 3 && ["yes", "no"].contains($0[1]) }.map { "\(plain($0[0])) \($0[1])" }
        let model = LLMError.Code.allCases.map { ($0.rawValue, $0.isRetryable) }
        let codes = model + Self.stepCodes.map { ($0.key, $0.value) }
        #expect(documented.sorted() == codes.map { "\($0.0) \($0.1 ? "yes" : "no")" }.sorted())
    }

    /// The contract's list contains the codes of error responses and of `error` events.
    @Test("openapi.json has the codes of the code")
    func codesOfTheContract() throws {
        let document = try JSON(String(decoding: PackageResources.openapi_json, as: UTF8.self))
        let listed = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].array.compactMap(\.string)
        let events = LLMError.Code.allCases.map(\.rawValue) + Self.stepCodes.keys
        #expect(Set(listed) == Set(Problem.Code.allCases.map(\.rawValue) + events))
        #expect(listed.count == Set(listed).count)
    }

    @Test("The table of endpoints has the routes of the code")
    func endpoints() {
        var documented: [String] = []
        for row in rows where row.count == 2 {
            // One row may name several paths of one method.
            var method: String?
            for part in plain(row[0]).split(separator: ",") {
                let words = part.split(separator: " ").map(String.init)
                if words.count == 2, ["GET", "POST", "PUT", "DELETE"].contains(words[0]) { method = words[0] }
                if let method, let path = words.last { documented.append("\(method) \(path)") }
            }
        }
        #expect(documented.sorted() == Endpoint.allCases.map { "\($0.method.rawValue) \($0.path)" }.sorted())
    }

    @Test("The table of keys has the keys of the code")
    func keysInRedis() throws {
        let keys = RedisKeys(try #require(SessionID("S")))
        let last = RedisKeyspace.bucketCount - 1
        var expected = keys.all + [keys.wake]
        expected += [
            RedisKeyspace.standard.meta, RedisKeyspace.standard.replicas, RedisKeyspace.standard.suspects,
            RedisKeyspace.standard.replica("NAME"),
        ]
        let account = AccountKeys(Account(try #require(Subject("NAME")), tenant: try #require(TenantID("T"))))
        expected += [
            RedisKeyspace.standard.sessions(of: "SUBJECT", in: try #require(TenantID("T"))), RedisKeyspace.standard.tenants,
            RedisKeyspace.standard.erasures,
        ]
        expected += account.ofLimits + [account.usage("YYYY-MM")]
        expected += [RedisKeyspace.standard.index(try #require(TenantID("T")), bucket: 0), RedisKeyspace.standard.running(bucket: 0)].map {
            "\($0) … \(last)"
        }
        let documented = rows.compactMap(\.first).filter { $0.hasPrefix("`agent:") }.map(plain)
        #expect(documented.sorted() == expected.sorted())
    }
}
