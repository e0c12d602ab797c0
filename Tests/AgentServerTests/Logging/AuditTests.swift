import Foundation
import Logging
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// One line for each security event, with the fields that docs/audit.md promises.
@Suite("Lines about security events", .tags(.processes), .serialized)
struct AuditTests {
    private let redis: RedisServer
    private let upstream: Upstream
    private static let key = "the-right-key-of-all"

    init() async throws {
        (redis, upstream) = (try await RedisServer.shared(), try await Upstream.start())
    }

    private func replica(_ environment: [String: String] = [:]) async throws -> Replica {
        let settings = ["AGENT_RUNTIME__LOG_FORMAT": "json"]
        return try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: settings.merging(environment) { $1 })
    }

    /// Returns the first line of an event, once it is there.
    private func line(_ replica: Replica, _ event: AuditEvent, _ matches: (JSON) -> Bool = { _ in true }) async throws -> JSON {
        try await LogLines.first(replica, "a line of \(event.rawValue)") { $0["event"].string == event.rawValue && matches($0) }
    }

    private func events(_ replica: Replica) throws -> [String] {
        try LogLines.of(replica).compactMap { $0["event"].string }
    }

    /// Checks the fields of every event that a request causes.
    private func expectFields(
        _ line: JSON, _ request: String, outcome: String, credential: String, _ location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(line["logger"] == "audit" && line["outcome"].string == outcome, "\(line)", sourceLocation: location)
        #expect(line["credential"].string == credential && line["tenant"] == "default", "\(line)", sourceLocation: location)
        #expect(line["request"].string == request && line["client_address"] == "127.0.0.1", "\(line)", sourceLocation: location)
        let at = try #require(line["at"].string, sourceLocation: location)
        let time = try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(at)
        #expect(abs(time.timeIntervalSinceNow) < 600 && at.hasSuffix("Z"), sourceLocation: location)
    }

    @Test("A refused key leaves a line without the key")
    func refusedKey() async throws {
        let replica = try await replica(["AGENT_RUNTIME__INTERNAL_API_KEY": Self.key])
        for (headers, word) in [(["X-Internal-Auth": "guess-1234"], "wrong"), ([:], "missing")] {
            let request = "audit-\(word)"
            let answer = try await replica.client.get(
                "/agent/sessions/s?ticket=s3cret", headers: headers.merging(["X-Request-ID": request]) { $1 })
            #expect(answer.status == 401)
            let line = try await line(replica, .authFailed) { $0["request"].string == request }
            try expectFields(line, request, outcome: "refused", credential: "none")
            #expect(line["level"] == "warning" && line["key"].string == word && line["code"] == "unauthorized")
            #expect(line["path"] == "/agent/sessions/s" && line["method"] == "GET")
        }
        #expect(!replica.process.log.contains("guess") && !replica.process.log.contains("s3cret"))
        try await replica.stop()
    }

    @Test("The creation and the deletion of a session leave one line each, with nothing of the conversation")
    func createdAndDeleted() async throws {
        let replica = try await replica(["AGENT_RUNTIME__INTERNAL_API_KEY": Self.key])
        let session = SessionID.unique().text
        func headers(_ request: String) -> [String: String] { ["X-Internal-Auth": Self.key, "X-Request-ID": request] }
        for number in 1...3 {
            let answer = try await replica.client.say("a s3cret word", in: session, headers: headers("audit-say-\(number)"))
            #expect(answer.done["status"] == "completed")
        }
        #expect(try await replica.client.send("DELETE", "/agent/sessions/\(session)", headers: headers("audit-delete")).status == 204)
        let created = try await line(replica, .sessionCreated)
        try expectFields(created, "audit-say-1", outcome: "done", credential: "internal")
        #expect(created["session"].string == session && created["level"] == "notice" && created["subject"].isNull)
        let deleted = try await line(replica, .sessionDeleted)
        try expectFields(deleted, "audit-delete", outcome: "done", credential: "internal")
        #expect(deleted["session"].string == session)
        // Messages to a session that exists leave no line, nor do deletions of one that does not.
        #expect(try await replica.client.send("DELETE", "/agent/sessions/\(session)", headers: headers("audit-again")).status == 404)
        #expect(try events(replica) == ["session.created", "session.deleted"])
        #expect(!replica.process.log.contains("s3cret") && !replica.process.log.contains(Self.key))
        try await replica.stop()
    }

    @Test("With AUDIT=off no event leaves a line")
    func off() async throws {
        let replica = try await replica(["AGENT_RUNTIME__INTERNAL_API_KEY": Self.key, "AGENT_RUNTIME__AUDIT": "off"])
        #expect(try await replica.client.get("/agent/sessions").status == 401)
        #expect(try await replica.client.say("x", in: SessionID.unique().text, headers: ["X-Internal-Auth": Self.key]).status == 200)
        try await replica.stop()
        #expect(try events(replica).isEmpty)
    }

    @Test("The level of other lines does not matter")
    func levelOfTheLog() {
        let log = LogCollector()
        var logger = log.logger
        logger.logLevel = .critical
        let audit = AuditLog(level: .writes, logger: logger)
        audit.note(.keysReloaded, ["count": "2"])
        audit.note(.keysReloaded, isRefused: true, ["error": "x"])
        #expect(log.text.contains("notice") && log.text.contains("warning") && log.text.contains("keys.reloaded"))
    }

    @Test("The levels are off, writes and all; writes is the default")
    func levels() throws {
        func level(_ environment: [String: String]) throws -> AuditLevel {
            try Settings(SettingsReader(environment: environment, flags: [])).audit
        }
        #expect(try level([:]) == .writes && level(["AGENT_RUNTIME__AUDIT": "ALL"]) == .all)
        #expect(throws: SettingsError.self) { try level(["AGENT_RUNTIME__AUDIT": "reads"]) }
        let reads: Set<AuditEvent> = [.sessionRead, .subjectExported, .usageRead]
        for event in AuditEvent.allCases {
            #expect(!AuditLevel.off.includes(event) && AuditLevel.all.includes(event))
            #expect(AuditLevel.writes.includes(event) == !reads.contains(event))
        }
    }

    /// Readers of the log match the names.
    @Test("The names of events are those of the documentation")
    func names() throws {
        #expect(
            AuditEvent.allCases.map(\.rawValue).sorted() == [
                "auth.failed", "keys.reloaded", "limit.refused", "session.created", "session.deleted", "session.read", "step.cancelled",
                "subject.erased", "subject.exported", "ticket.issued", "usage.read",
            ])
        let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../docs/audit.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        for event in AuditEvent.allCases { #expect(text.contains("| `\(event.rawValue)` |"), "\(event.rawValue)") }
    }
}
