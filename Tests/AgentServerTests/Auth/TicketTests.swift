import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("Tickets for streams") struct TicketTests {
    private static let one = String(repeating: "1", count: 32)
    private static let two = String(repeating: "2", count: 40)
    private let start = Date(timeIntervalSince1970: 1_800_000_000)

    private func authority(_ keys: String...) throws -> TicketAuthority { try #require(TicketAuthority(keys: keys)) }

    private func principal(_ subject: String? = "user-1", tenant: String = "acme", expiresAt: Date? = nil) -> Principal {
        let user = subject.flatMap { Subject($0) }
        return Principal(
            tenant: TenantID(tenant) ?? .standard, requester: user.map { .subject($0) } ?? .tenant, scopes: .all, accounts: [],
            credential: "gw-1", expiresAt: expiresAt)
    }

    private func ticket(_ principal: Principal, session: String = "s-1") throws -> StreamTicket {
        let id = try #require(SessionID(session, tenant: principal.tenant))
        return try #require(StreamTicket(for: id, principal: principal, now: start))
    }

    private func request(
        _ target: String, _ method: HTTPRequest.Method = .get, headers: HTTPFields = [:]
    ) -> Request {
        Request(
            head: HTTPRequest(method: method, scheme: "http", authority: "localhost", path: target, headerFields: headers),
            body: RequestBody(buffer: ByteBuffer()))
    }

    private func find(
        _ text: String, _ authority: TicketAuthority, after seconds: TimeInterval = 0, path: String = "/agent/sessions/s-1/stream",
        _ method: HTTPRequest.Method = .get, lastEventID: String? = nil
    ) -> Finding {
        var headers: HTTPFields = [:]
        headers[.lastEventID] = lastEventID
        return find(request("\(path)?ticket=\(text)", method, headers: headers), authority, after: seconds)
    }

    private func find(_ request: Request, _ authority: TicketAuthority, after seconds: TimeInterval = 0) -> Finding {
        do throws(AuthFailure) {
            let principal = try TicketAuthenticator(authority: authority).principal(of: request, now: start + seconds)
            return principal == nil ? .none : .principal
        } catch {
            return .refused(error.reason)
        }
    }

    @Test(
        "A ticket gives back whom it was issued to",
        arguments: [("user-1", "acme"), (nil, "acme"), (nil, ""), ("häß\"lich\\ \u{1F980} |", "")] as [(String?, String)])
    func roundTrip(_ subject: String?, tenant: String) throws {
        let authority = try authority(Self.one)
        let principal = self.principal(subject, tenant: tenant)
        let text = authority.sign(try ticket(principal))
        #expect(text.utf8.allSatisfy { $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") })
        let request = self.request("/agent/sessions/s-1/stream?ticket=\(text)")
        let result = try TicketAuthenticator(authority: authority).principal(of: request, now: start)
        let found = try #require(result)
        #expect(found.tenant == principal.tenant && found.requester == principal.requester)
        #expect(found.scopes == .read && found.credential == "ticket" && found.expiresAt == nil)
    }

    @Test("A ticket opens the stream for a minute, and for a client that comes back for ten minutes")
    func times() throws {
        let authority = try authority(Self.one)
        let text = authority.sign(try ticket(principal()))
        for (seconds, lastEventID, isOpen) in [
            (0, nil, true), (59, nil, true), (60, nil, false), (60, "1-abcd-3", true), (599, "1-abcd-3", true), (600, "1-abcd-3", false),
            (61, "", false),
        ] as [(TimeInterval, String?, Bool)] {
            let finding = find(text, authority, after: seconds, lastEventID: lastEventID)
            #expect(isOpen ? finding.isPrincipal : finding.isExpired, "\(seconds) \(lastEventID ?? "-")")
        }
    }

    @Test("A ticket is never good for longer than the credential that asked for it")
    func endOfTheCredential() throws {
        let authority = try authority(Self.one)
        let short = try ticket(principal(expiresAt: start + 30))
        #expect(short.opensUntil == Int(start.timeIntervalSince1970) + 30 && short.expires == short.opensUntil)
        let text = authority.sign(short)
        #expect(find(text, authority, after: 29).isPrincipal)
        #expect(find(text, authority, after: 30, lastEventID: "1-abcd-3").isExpired)
        // The stream itself ends with the credential, not with the ticket.
        let long = try ticket(principal(expiresAt: start + 3600))
        #expect(long.expires == Int(start.timeIntervalSince1970) + 600 && long.principal(credential: "ticket").expiresAt == start + 3600)
        let session = try #require(SessionID("s-1"))
        #expect(StreamTicket(for: session, principal: principal(expiresAt: start + 0.5), now: start) == nil)
        #expect(StreamTicket(for: session, principal: principal(expiresAt: start - 5), now: start) == nil)
    }

    @Test("A ticket is good for the stream of its session alone")
    func otherPaths() throws {
        let authority = try authority(Self.one)
        let text = authority.sign(try ticket(principal()))
        #expect(find(text, authority, path: "/agent/sessions/s%2D1/stream").isPrincipal)
        #expect(find(text, authority, .head).isPrincipal)
        #expect(find(text, authority, path: "/agent/sessions/s-2/stream").isRefused)
        for path in [
            "/agent/sessions/s-1", "/agent/sessions/s-1/history", "/agent/sessions", "/openapi.json", "/agent/sessions/s-1/stream/x",
        ] {
            #expect(find(text, authority, path: path).isNone, "\(path)")
        }
        for method in [HTTPRequest.Method.post, .delete, .put] { #expect(find(text, authority, method).isNone) }
        #expect(find(request("/agent/sessions/s-1/stream"), authority).isNone)
    }

    @Test("The cookie is a ticket as well, and the URL goes first")
    func cookies() throws {
        let authority = try authority(Self.one)
        let text = authority.sign(try ticket(principal()))
        let path = "/agent/sessions/s-1/stream"
        let cookie: HTTPFields = [.cookie: "a=b; __Secure-agent_stream=\(text)"]
        #expect(find(request(path, headers: cookie), authority).isPrincipal)
        #expect(
            try TicketAuthenticator(authority: authority).principal(of: request(path, headers: cookie), now: start)?.credential == "cookie")
        #expect(find(request("\(path)?ticket=x", headers: cookie), authority).isRefused)
        #expect(find(request(path, headers: [.cookie: "__Secure-agent_stream=x"]), authority).isRefused)
    }

    @Test("The first key signs, and every key verifies")
    func rotation() throws {
        let (old, both, new) = (try authority(Self.one), try authority(Self.two, Self.one), try authority(Self.two))
        let ticket = try ticket(principal())
        let (byOld, byBoth) = (old.sign(ticket), both.sign(ticket))
        #expect(find(byOld, both).isPrincipal && find(byBoth, new).isPrincipal && find(byBoth, both).isPrincipal)
        #expect(find(byBoth, old).isRefused && find(byOld, new).isRefused)
        #expect(TicketAuthority(keys: []) == nil)
    }

    @Test("Every changed character makes a ticket worthless")
    func tampering() throws {
        let authority = try authority(Self.one)
        let text = authority.sign(try ticket(principal()))
        for index in text.indices {
            for other in ["A", "b", "-", "."] where String(text[index]) != other {
                let changed = text.replacingCharacters(in: index...index, with: other)
                #expect(authority.ticket(changed) == nil, "\(changed)")
            }
        }
        let parts = text.split(separator: ".")
        for wrong in [
            "", ".", "..", text + "A", text + "=", "A" + text, text + ".x", String(parts[0]), "\(parts[0]).", ".\(parts[1])",
            String(repeating: "A", count: 5000), "\(parts[0]).\(parts[0])",
        ] {
            #expect(authority.ticket(wrong) == nil && find(wrong, authority).isRefused, "\(wrong)")
        }
    }

    @Test("Two tickets differ, and so do the keys of other purposes")
    func nonces() throws {
        let (one, two) = (try ticket(principal()), try ticket(principal()))
        #expect(one.nonce != two.nonce && one.payload != two.payload)
    }

    @Test("Ticket keys are checked and not shown")
    func settings() throws {
        func settings(_ keys: String) throws -> Settings {
            try Settings(SettingsReader(environment: ["AGENT_RUNTIME__TICKET_KEYS": keys], flags: []))
        }
        #expect(try settings("\(Self.two), \(Self.one)").ticketKeys == [Self.two, Self.one])
        for wrong in [
            "short-s3cret", "\(Self.one),short-s3cret", "\(Self.one),", "s3cret with spaces that is long enough", "s3crét-\(Self.one)",
        ] {
            #expect {
                _ = try settings(wrong)
            } throws: { error in
                "\(error)".contains("AGENT_RUNTIME__TICKET_KEYS") && !"\(error)".contains("s3cr")
            }
        }
    }
}

/// What a look for a ticket finds in a request.
private enum Finding: Equatable {
    case none
    case refused(AuthFailure.Reason)
    case principal

    var isPrincipal: Bool { self == .principal }
    var isNone: Bool { self == .none }
    var isRefused: Bool { self == .refused(.wrong) }
    var isExpired: Bool { self == .refused(.expired) }
}
