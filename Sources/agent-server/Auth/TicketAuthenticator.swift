import Foundation
import HTTPTypes
import Hummingbird
import SessionStore

/// Tickets of streams: in `?ticket=`, otherwise in a cookie. A ticket opens the stream of its
/// session and nothing else.
///
/// It comes behind all other kinds of credentials: a request that has a key in a header is judged by
/// that.
struct TicketAuthenticator: Authenticator {
    static let parameter = "ticket"
    /// The cookie's name. Browsers accept a name with this prefix from a page with TLS alone (RFC
    /// 6265bis, section 4.1.3.1).
    static let cookie = "__Secure-agent_stream"

    let authority: TicketAuthority

    func principal(of request: Request, context: AgentRequestContext) async throws(AuthFailure) -> Principal? {
        try principal(of: request, now: .now)
    }

    func principal(of request: Request, now: Date) throws(AuthFailure) -> Principal? {
        guard request.method == .get || request.method == .head, let session = Self.streamedSession(request.uri.path) else { return nil }
        let parameter = request.uri.queryParameters.get(Self.parameter)
        guard let text = parameter ?? request.cookies[Self.cookie]?.value else { return nil }
        let kind = parameter == nil ? "cookie" : "ticket"
        guard let ticket = authority.ticket(text), ticket.session.text == session else { throw AuthFailure(.wrong, credential: kind) }
        let isReturning = request.headers[.lastEventID]?.isEmpty == false
        guard ticket.isValid(now, isReturning: isReturning) else { throw AuthFailure(.expired, credential: kind) }
        return ticket.principal(credential: kind)
    }

    /// Returns the session that a stream's path names; nil for other paths.
    private static func streamedSession(_ path: String) -> String? {
        let parts = path.split(separator: "/")
        let pattern = Endpoint.sessionStream.path.split(separator: "/")
        guard parts.count == pattern.count, let index = pattern.firstIndex(where: { $0.hasPrefix("{") }),
            zip(parts, pattern).allSatisfy({ $0 == $1 || $1.hasPrefix("{") })
        else { return nil }
        return parts[index].removingPercentEncoding
    }
}
