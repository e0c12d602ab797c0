import Foundation
import HTTPTypes
import HummingbirdTesting
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("Tickets in requests", .tags(.processes), .serialized)
struct TicketRouteTests {
    private static let key = "a-key-of-some-length"
    private static let signing = String(repeating: "s", count: 32)
    private let auth = ["X-Internal-Auth": key]
    private let replica: Replica

    init() async throws {
        let (redis, upstream) = (try await RedisServer.shared(), try await Upstream.start())
        replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url,
            environment: [
                "AGENT_RUNTIME__INTERNAL_API_KEY": Self.key, "AGENT_RUNTIME__TICKET_KEYS": Self.signing,
                "AGENT_RUNTIME__LOG_FORMAT": "json",
            ])
    }

    private var client: AgentClient { replica.client }

    private func session() async throws -> String {
        let session = SessionID.unique().text
        #expect(try await client.say("hello", in: session, headers: auth).done["status"] == "completed")
        return session
    }

    /// A ticket as a replica would have issued it some time ago.
    private func ticket(for session: String, age seconds: TimeInterval) throws -> String {
        let authority = try #require(TicketAuthority(keys: [Self.signing]))
        let id = try #require(SessionID(session))
        let ticket = try #require(StreamTicket(for: id, principal: .unrestricted("internal"), now: Date(timeIntervalSinceNow: -seconds)))
        return authority.sign(ticket)
    }

    @Test("A ticket opens the stream of its session and nothing else")
    func theTicket() async throws {
        let session = try await session()
        let path = "/agent/sessions/\(session)"
        let issued = try await client.send("POST", "\(path)/tickets", headers: auth.merging(["X-Request-ID": "ticket-1"]) { $1 })
        #expect(issued.status == 200 && issued.header("cache-control") == "no-store" && issued.header("set-cookie") == nil)
        let text = try #require(issued.json["ticket"].string)
        #expect((58...60).contains(issued.json["expires_in"].int ?? 0))
        // Not for one use: a browser connects again with the same URL.
        for _ in 0..<3 {
            let stream = try await client.get("\(path)/stream?ticket=\(text)")
            #expect(stream.status == 200 && stream.done["status"] == "completed")
        }
        #expect(try await client.send("HEAD", "\(path)/stream?ticket=\(text)").status == 200)
        let other = try await self.session()
        for (method, target) in [
            ("GET", "/agent/sessions/\(other)/stream"), ("GET", path), ("GET", "\(path)/history"), ("GET", "/agent/sessions"),
            ("POST", "\(path)/cancel"), ("POST", "\(path)/tickets"), ("DELETE", path), ("GET", "/openapi.json"),
        ] {
            let refused = try await client.send(method, "\(target)?ticket=\(text)")
            #expect(refused.status == 401 && refused.code == "unauthorized", "\(method) \(target)")
        }
        let line = try await LogLines.first(replica, "the line") { $0["event"] == "ticket.issued" }
        #expect(line["session"].string == session && line["request"] == "ticket-1" && line["credential"] == "internal")
        #expect(line["form"] == "url" && line["outcome"] == "done")
        #expect(!replica.process.log.contains(text))
    }

    @Test("A ticket that opens nothing gets the response that a wrong key gets")
    func refusedTickets() async throws {
        let session = try await session()
        let path = "/agent/sessions/\(session)/stream"
        let wrong = try await client.get(path, headers: ["X-Internal-Auth": "wrong-key-of-some-length"])
        #expect(wrong.status == 401)
        let good = try ticket(for: session, age: 0)
        let old = try ticket(for: session, age: 61)
        for text in ["", "x", "a.b", String(good.dropLast()), good + "A", "\(good).\(good)", old, try ticket(for: session, age: 601)] {
            let refused = try await client.get("\(path)?ticket=\(text)")
            #expect(refused.status == 401 && refused.text == wrong.text, "\(text)")
            #expect(refused.header("www-authenticate") == wrong.header("www-authenticate"))
        }
        // A header goes first, and then the URL.
        let cookie = ["Cookie": "__Secure-agent_stream=\(good)"]
        #expect(try await client.get(path, headers: cookie).status == 200)
        #expect(try await client.get("\(path)?ticket=x", headers: cookie).status == 401)
        #expect(try await client.get("\(path)?ticket=\(good)", headers: ["X-Internal-Auth": "wrong-key-of-some-length"]).status == 401)
        #expect(try await client.get("\(path)?ticket=x", headers: auth).status == 200)
        let expired = try await LogLines.first(replica, "the line") { $0["event"] == "auth.failed" && $0["key"] == "expired" }
        #expect(expired["credential"] == "ticket" && !replica.process.log.contains(old))
    }

    @Test("A client that comes back with Last-Event-ID may do so for ten minutes")
    func reopening() async throws {
        let session = try await session()
        let path = "/agent/sessions/\(session)/stream"
        let id = try #require(try await client.get(path, headers: auth).events.first?.id)
        for (age, isOpen) in [(61.0, true), (590, true), (601, false)] {
            let text = try ticket(for: session, age: age)
            let stream = try await client.get("\(path)?ticket=\(text)", headers: ["Last-Event-ID": id])
            #expect(stream.status == (isOpen ? 200 : 401), "\(age)")
            // The parameter that old browsers' scripts use does not count: a page can write it.
            #expect(try await client.get("\(path)?ticket=\(text)&last_event_id=\(id)").status == 401)
        }
    }

    @Test("The cookie is for the session's stream, and scripts cannot read it")
    func theCookie() async throws {
        let session = try await session()
        let path = "/agent/sessions/\(session)"
        let issued = try await client.send("POST", "\(path)/tickets?cookie=true", headers: auth)
        #expect(issued.status == 200 && issued.json["ticket"].isNull && (58...60).contains(issued.json["expires_in"].int ?? 0))
        let parts = try #require(issued.header("set-cookie")).components(separatedBy: "; ")
        let pair = try #require(parts.first)
        #expect(pair.hasPrefix("__Secure-agent_stream="))
        #expect(
            Set(parts.dropFirst().filter { !$0.hasPrefix("Max-Age=") }) == ["Path=\(path)/stream", "HttpOnly", "Secure", "SameSite=Strict"])
        let age = try #require(parts.first { $0.hasPrefix("Max-Age=") }.flatMap { Int($0.dropFirst("Max-Age=".count)) })
        #expect((598...600).contains(age))
        #expect(try await client.get("\(path)/stream", headers: ["Cookie": pair]).done["status"] == "completed")
        #expect(try await client.get("\(path)/history", headers: ["Cookie": pair]).status == 401)
        #expect(try await client.send("POST", "\(path)/tickets?cookie=yes", headers: auth).status == 400)
    }

    @Test("No ticket exists for a session that does not, nor without keys to sign it")
    func noTicket() async throws {
        let missing = try await client.send("POST", "/agent/sessions/\(SessionID.unique())/tickets", headers: auth)
        #expect(missing.status == 404 && missing.code == "session_not_found")
        #expect(try await client.send("POST", "/agent/sessions/\(SessionID.unique())/tickets").status == 401)
        try await InProcess.router(["AGENT_RUNTIME__INTERNAL_API_KEY": Self.key]) { client in
            let off = try await client.send(.post, "/agent/sessions/s/tickets", headers: [.internalAuth: Self.key])
            #expect(off.status == .notFound && off.code == "tickets_disabled")
            let ignored = try await client.send(.get, "/agent/sessions/s/stream?ticket=x.y")
            #expect(ignored.status == .unauthorized)
        }
    }
}
