import AgentService
import HTTPTypes
import Hummingbird
import SessionStore

/// The problems of a request itself, which need no session.
extension Problem {
    init(_ error: RequestError) {
        switch error.code {
        case .invalidJSON: self.init(.invalidJSON, error.description)
        case .invalidRequest: self.init(.invalidRequest, error.description)
        }
    }

    // MARK: Who asks

    static var unauthorized: Problem {
        Problem(.unauthorized, "the key is missing or wrong").with(.wwwAuthenticate, "Bearer")
    }

    /// A token that was not judged: 401 would send its user to an issuer that is away.
    static var issuerUnavailable: Problem {
        Problem(.issuerUnavailable, "the keys that sign tokens cannot be fetched; this token was not checked").retry(after: .seconds(5))
    }

    /// The credential is good, and does not allow this (RFC 6750, section 3.1).
    static func lacks(_ scope: Scopes) -> Problem {
        Problem(.forbidden, "this credential lacks the scope \(scope)")
            .with(.wwwAuthenticate, #"Bearer error="insufficient_scope", scope="\#(scope)""#)
    }

    /// A user may not act for another one.
    static var actsForItself: Problem {
        Problem(.forbidden, "\(HTTPField.Name.agentSubject) needs a key of the whole tenant; this credential is one user's")
    }

    static var badSubject: Problem {
        Problem(.invalidRequest, "the header \(HTTPField.Name.agentSubject) must name one user, in \(Subject.rule) of UTF-8")
    }

    static var misdirected: Problem {
        Problem(.misdirected, "Host names neither loopback nor a name of \(Setting.allowedHosts.name)")
    }

    static var forbiddenOrigin: Problem {
        Problem(.forbiddenOrigin, "web pages of other hosts may not send requests; see \(Setting.allowedHosts.name)")
    }

    static var ticketsDisabled: Problem {
        Problem(.ticketsDisabled, "this server issues no tickets; see \(Setting.ticketKeys.name)")
    }

    // MARK: Where

    /// The problem of a request without a route: either no endpoint has the path, or none of those
    /// that have it takes the method.
    static func noRoute(_ request: Request) -> Problem {
        let methods = Endpoint.methods(of: request.uri.path)
        guard !methods.isEmpty else { return Problem(.notFound, "there is nothing at \(request.uri.path)") }
        let allowed = methods + (methods.contains(.get) ? [.head] : [])
        return Problem(.methodNotAllowed, "\(request.method) is not possible here")
            .with(.allow, allowed.map(\.rawValue).joined(separator: ", "))
    }

    // MARK: Parameters and headers

    static var badSessionID: Problem {
        Problem(.invalidRequest, "session_id must be 1–128 of A-Z a-z 0-9 . _ : -, and not . or ..")
    }

    static func notInRange(_ name: String, _ range: ClosedRange<Int>) -> Problem {
        Problem(.invalidRequest, "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }

    static func notBoolean(_ name: String) -> Problem {
        Problem(.invalidRequest, "\(name) must be true or false")
    }

    static var badSubjectInPath: Problem {
        Problem(.invalidRequest, "subject must be \(Subject.rule) of UTF-8, percent-encoded")
    }

    static var badDay: Problem {
        Problem(.invalidRequest, "from and to must be dates such as 2026-11-27, from not after to")
    }

    static var badSubjectParameter: Problem {
        Problem(.invalidRequest, "subject must be \(Subject.rule) of UTF-8")
    }

    static var badCursor: Problem {
        Problem(.invalidRequest, "cursor must be a next_cursor of this endpoint")
    }

    static var notAcceptable: Problem {
        Problem(.notAcceptable, "the response is text/event-stream")
    }

    // MARK: The body

    static func bodyTooLarge(limit: Int) -> Problem {
        Problem(.bodyTooLarge, "the body is larger than \(limit) bytes")
    }

    static var bodyTooLarge: Problem { Problem(.bodyTooLarge, "the request's body is too large") }

    static var bodyNotJSON: Problem { Problem(.unsupportedMediaType, "the body must be application/json") }

    static var bodyCoded: Problem {
        Problem(.unsupportedMediaType, "a body with a Content-Encoding is not accepted")
    }

    static var bodyIncomplete: Problem { Problem(.invalidRequest, "the body broke off") }

    static var bodyMalformed: Problem {
        Problem(.invalidRequest, "the body is not what its Transfer-Encoding says")
    }
}
