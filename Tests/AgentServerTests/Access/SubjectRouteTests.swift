import Foundation
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("Usage, erasure and export of subjects", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct SubjectRouteTests {
    private let deployment: AccessDeployment
    private var client: AgentClient { deployment.client }

    init() async throws {
        deployment = try await AccessDeployment(["AGENT_RUNTIME__AUDIT": "all", "AGENT_RUNTIME__LEASE_MS": "1000"])
    }

    private func lines(_ answer: Answer) throws -> [JSON] {
        try answer.text.split(separator: "\n").map { try JSON(String($0)) }
    }

    /// Waits until so many steps of the owner are counted.
    private func steps(_ count: Int) async throws {
        try await eventually("\(count) steps are counted") {
            try await client.get("/agent/usage", headers: AccessDeployment.headers("owner")).json["usage"]["steps"].int == count
        }
    }

    @Test("An export has each session with all of its messages, and says that it is complete")
    func export() async throws {
        let sessions = [try await deployment.session(), try await deployment.session()]
        #expect(
            try await client.say("the words of user-2", in: SessionID.unique().text, headers: AccessDeployment.headers("other")).status
                == 200)
        // One of them is longer than a page.
        let acme = try #require(TenantID("acme"))
        let long = #"{"role":"user","content":"\#(String(repeating: "x", count: 100_000))"}"#
        let key = RedisKeys(try #require(SessionID(sessions[0], tenant: acme))).history
        for _ in 0..<25 { try deployment.redis.cli("RPUSH", key, long) }
        let path = "/agent/subjects/user-1/export"
        try await eventually("both sessions are listed") {
            try await client.get("/agent/sessions", headers: AccessDeployment.headers("owner")).json["sessions"].array.count == 2
        }
        try await steps(2)
        let answer = try await client.get(path, headers: AccessDeployment.headers("admin", ["X-Request-ID": "export-1"]))
        #expect(answer.status == 200 && answer.header("content-type") == "application/x-ndjson")
        let parts = try lines(answer)
        #expect(parts.last == ["type": "end", "sessions": 2])
        #expect(Set(parts.filter { $0["type"] == "session" }.compactMap { $0["session_id"].string }) == Set(sessions))
        for session in sessions {
            let pages = parts.filter { $0["type"] == "messages" && $0["session_id"].string == session }
            let messages = pages.flatMap { $0["messages"].array }
            #expect(messages.count == (try deployment.history(session)).count)
            // The system prompt is the operator's.
            #expect(messages.first == ["role": "system"] && messages.contains { $0["content"] == "the words of user-1" })
            var offset = 0
            for page in pages {
                #expect(page["offset"].int == offset)
                offset += page["messages"].array.count
            }
        }
        #expect(parts.filter { $0["type"] == "messages" }.count > 3)
        let usage = try #require(parts.first { $0["type"] == "usage" })
        #expect(usage["usage"]["steps"] == 2)
        #expect(!answer.text.contains("the words of user-2"))
        let line = try await LogLines.first(deployment.replica, "the line") { $0["event"] == "subject.exported" }
        #expect(line["target_subject"] == "user-1" && line["subject"] == "admin-1" && line["tenant"] == "acme")
        #expect(line["credential"] == "admin" && line["request"] == "export-1")
        // A user without sessions has an export, too.
        let empty = try lines(try await client.get("/agent/subjects/nobody%20%C3%A9/export", headers: AccessDeployment.headers("admin")))
        #expect(empty.last == ["type": "end", "sessions": 0])
        #expect(try await client.get("/agent/subjects/*/export", headers: AccessDeployment.headers("admin")).status == 400)
    }

    @Test("An erasure removes all sessions of a user, and may be repeated")
    func erasure() async throws {
        let session = try await deployment.session()
        let other = SessionID.unique().text
        #expect(try await client.say("x", in: other, headers: AccessDeployment.headers("other")).status == 200)
        let headers = AccessDeployment.headers("admin", ["X-Request-ID": "erase-1"])
        for _ in 0..<2 {
            let answer = try await client.send("DELETE", "/agent/subjects/user-1", headers: headers)
            #expect(answer.status == 202 && answer.json == ["subject": "user-1"])
        }
        try await eventually("nothing of the user is left", timeout: .seconds(60)) {
            let keys = try deployment.redis.lines("--scan")
            return keys.allSatisfy { !$0.contains(session) && !$0.contains("user-1") }
        }
        #expect(try await client.get("/agent/sessions/\(session)", headers: AccessDeployment.headers("owner")).status == 404)
        #expect(try await client.get("/agent/sessions/\(other)", headers: AccessDeployment.headers("other")).status == 200)
        let line = try await LogLines.first(deployment.replica, "the line") { $0["event"] == "subject.erased" }
        #expect(line["target_subject"] == "user-1" && line["subject"] == "admin-1" && line["request"] == "erase-1")
    }

    @Test("Usage is that of the caller, and another user's with the scope admin")
    func usage() async throws {
        let session = try await deployment.session()
        _ = try await client.say("again", in: session, headers: AccessDeployment.headers("owner"))
        try await steps(2)
        let own = try await client.get("/agent/usage", headers: AccessDeployment.headers("owner"))
        #expect(own.status == 200 && own.json["subject"] == "user-1" && own.json["usage"]["steps"] == 2, "\(own.text)")
        let usage = own.json["usage"]
        let tokens = (usage["prompt_tokens"].int ?? 0, usage["completion_tokens"].int ?? 0)
        #expect(tokens.0 > 0 && tokens.1 > 0 && usage["total_tokens"].int == tokens.0 + tokens.1)
        let day = try #require(own.json["to"].string)
        #expect(own.json["days"].array.count == 1 && own.json["days"][0]["day"].string == day)
        let admins = try await client.get("/agent/usage?subject=user-1&from=\(day)&to=\(day)", headers: AccessDeployment.headers("admin"))
        #expect(admins.json["usage"] == usage && admins.json["from"].string == day)
        let line = try await LogLines.first(deployment.replica, "the line") { $0["event"] == "usage.read" }
        #expect(line["target_subject"] == "user-1" && line["subject"] == "admin-1")
        let others = try await client.get("/agent/usage?subject=user-1", headers: AccessDeployment.headers("other"))
        #expect(others.status == 403 && others.code == "forbidden")
        #expect(try await client.get("/agent/usage", headers: AccessDeployment.headers("other")).json["usage"]["steps"] == 0)
        // The account of a key that acts for its tenant has no subject.
        let key = try await client.get("/agent/usage", headers: AccessDeployment.headers("gateway"))
        #expect(key.status == 200 && key.json["subject"].isNull && key.json["days"] == [])
        for query in [
            "from=2026-13-01", "to=yesterday", "from=2026-02-02&to=2026-02-01", "from=2020-01-01&to=2026-01-01", "subject=*", "subject=",
        ] {
            let refused = try await client.get("/agent/usage?\(query)", headers: AccessDeployment.headers("admin"))
            #expect(refused.status == 400 && refused.code == "invalid_request", "\(query): \(refused.text)")
        }
    }

    @Test("Reads and cancels in another's name leave a line, and those of the owner none")
    func others() async throws {
        let session = try await deployment.session()
        let path = "/agent/sessions/\(session)"
        func get(_ suffix: String, _ key: String, _ more: [String: String] = [:]) async throws -> Int {
            try await client.get(path + suffix, headers: AccessDeployment.headers(key, more)).status
        }
        for suffix in ["", "/history", "/stream"] {
            #expect(try await get(suffix, "owner") == 200)
            #expect(try await get(suffix, "gateway", ["X-Agent-Subject": "user-1"]) == 200)
            #expect(try await get(suffix, "gateway", ["X-Request-ID": "read-1\(suffix.dropFirst())"]) == 200)
        }
        let gate = Gate()
        deployment.upstream.answer { _ in UpstreamAnswer.text("a", "b").inserting(.gate(gate), after: 2) }
        for (key, request) in [("owner", "cancel-own"), ("gateway", "cancel-other")] {
            var open = try await client.open(AgentClient.body(session, ["content": "x"]), headers: AccessDeployment.headers("owner"))
            try await open.next { $0.data["token"] == "a" }
            let cancelled = try await client.send(
                "POST", "\(path)/cancel", headers: AccessDeployment.headers(key, ["X-Request-ID": request]))
            #expect(cancelled.status == 202)
            _ = try await open.rest()
        }
        gate.open()
        let cancel = try await LogLines.first(deployment.replica, "the line") { $0["event"] == "step.cancelled" }
        #expect(cancel["request"] == "cancel-other" && cancel["credential"] == "gateway" && cancel["target_subject"] == "user-1")
        let reads = try LogLines.of(deployment.replica).filter { $0["event"] == "session.read" }
        #expect(reads.compactMap { $0["request"].string } == ["read-1", "read-1history", "read-1stream"])
        #expect(reads.allSatisfy { $0["session"].string == session && $0["target_subject"] == "user-1" && $0["subject"].isNull })
        #expect(try LogLines.of(deployment.replica).count { $0["event"] == "step.cancelled" } == 1)
    }

    @Test("A refusal by a limit and a missing scope leave a line each")
    func refusals() async throws {
        let limited = try await AccessDeployment([
            "AGENT_RUNTIME__KEYS_FILE": try KeyFiles.write(
                KeyFiles.text([KeyFiles.entry("poor", ["tenant": "acme", "subject": "user-3", "limits": ["requests_per_minute": 1]])])
            ).path
        ])
        let headers = AccessDeployment.headers("poor")
        var statuses: Set<Int> = []
        for _ in 0..<10 {
            let status = try await limited.client.say("x", in: SessionID.unique().text, headers: headers).status
            statuses.insert(status)
            if status == 429 { break }
        }
        #expect(statuses.contains(429))
        let line = try await LogLines.first(limited.replica, "the line") { $0["event"] == "limit.refused" }
        #expect(
            line["subject"] == "user-3" && line["credential"] == "poor" && line["code"] == "rate_limited" && line["outcome"] == "refused")
        #expect(try await client.get("/agent/subjects/user-1/export", headers: AccessDeployment.headers("owner")).status == 403)
        let scope = try await LogLines.first(deployment.replica, "the line") { $0["event"] == "auth.failed" }
        #expect(scope["key"] == "scope" && scope["credential"] == "owner" && scope["subject"] == "user-1" && scope["code"] == "forbidden")
    }

    @Test("A changed keys file leaves a line, and one that cannot be used as well")
    func reloads() async throws {
        let file = try KeyFiles.write(KeyFiles.text([KeyFiles.entry("one")]))
        let changing = try await AccessDeployment(["AGENT_RUNTIME__KEYS_FILE": file.path])
        try KeyFiles.replace(file, with: KeyFiles.text([KeyFiles.entry("one"), KeyFiles.entry("two")]))
        let line = try await LogLines.first(changing.replica, "the line") { $0["event"] == "keys.reloaded" }
        #expect(line["outcome"] == "done" && line["count"] == "2" && line["logger"] == "audit")
        try KeyFiles.replace(file, with: "{")
        let refused = try await LogLines.first(changing.replica, "the line") {
            $0["event"] == "keys.reloaded" && $0["outcome"] == "refused"
        }
        #expect(refused["level"] == "warning" && refused["error"].string?.isEmpty == false)
    }
}
