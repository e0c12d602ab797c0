import AgentService
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `POST /agent/sessions/{id}/tickets?cookie=`: a ticket for the session's stream, in the body
    /// or in a cookie that the page cannot read.
    func ticket(_ request: Request, _ context: Context) async throws -> Response {
        guard let tickets = access.tickets else { throw Problem.ticketsDisabled }
        let session = try sessionID(context)
        let isCookie = try queryBoolean("cookie", request)
        let state = try await stored { () throws(StoreError) in try await store.state(session, as: context.principal.requester) }
        guard state != nil else { throw Problem.sessionNotFound }
        let now = Date.now
        guard let ticket = StreamTicket(for: session, principal: context.principal, now: now) else { throw Problem.unauthorized }
        audit.note(.ticketIssued, context, session: session, ["form": isCookie ? "cookie" : "url"])
        let text = tickets.sign(ticket)
        func seconds(until time: Int) -> Int { time - Int(now.timeIntervalSince1970) }
        let opening = seconds(until: ticket.opensUntil)
        guard isCookie else { return .json("{\"ticket\":\"\(text)\",\"expires_in\":\(opening)}") }
        var response = Response.json("{\"expires_in\":\(opening)}")
        response.headers[.setCookie] = """
            \(TicketAuthenticator.cookie)=\(text); Path=/agent/sessions/\(session.text)/stream; \
            Max-Age=\(seconds(until: ticket.expires)); HttpOnly; Secure; SameSite=Strict
            """
        return response
    }
}
