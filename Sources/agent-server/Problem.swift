import AgentService
import HTTPTypes
import Hummingbird
import JSONText
import NIOCore
import RedisClient
import SessionStore

/// An error answer: `application/problem+json` (RFC 9457) with a stable `code`.
struct Problem: Error, HTTPResponseError, Sendable {
    var status: HTTPResponse.Status
    var code: String
    /// One sentence for people; names the field where there is one.
    var detail: String
    /// Further members, as JSON.
    var members: [(name: String, json: String)] = []
    var headers: HTTPFields = [:]
    /// For the log alone: what is not the client's business.
    var cause: String?

    init(_ status: HTTPResponse.Status, _ code: String, _ detail: String) {
        self.status = status
        self.code = code
        self.detail = detail
    }

    func with(_ name: HTTPField.Name, _ value: String) -> Problem {
        var copy = self
        copy.headers[name] = value
        return copy
    }

    func with(member name: String, _ value: Int) -> Problem {
        var copy = self
        copy.members.append((name, String(value)))
        return copy
    }

    func with(member name: String, _ values: [String]) -> Problem {
        var json = ByteBuffer()
        json.writeString("[")
        for (index, value) in values.enumerated() {
            if index > 0 { json.writeString(",") }
            json.writeJSONString(value)
        }
        json.writeString("]")
        var copy = self
        copy.members.append((name, String(buffer: json)))
        return copy
    }

    func retry(after duration: Duration) -> Problem {
        with(.retryAfter, String(max(1, min(duration, .seconds(3600)).milliseconds / 1000 + 1)))
    }

    var response: Response {
        var body = ByteBuffer()
        body.writeString(#"{"type":"about:blank","title":"#)
        body.writeJSONString(status.reasonPhrase)
        body.writeString(",\"status\":\(status.code),\"code\":")
        body.writeJSONString(code)
        body.writeString(#","detail":"#)
        body.writeJSONString(detail)
        for member in members {
            body.writeString(",")
            body.writeJSONString(member.name)
            body.writeString(":\(member.json)")
        }
        body.writeString("}")
        var headers = headers
        headers[.contentType] = "application/problem+json"
        headers[.cacheControl] = "no-store"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body))
    }

    func response(from request: Request, context: some RequestContext) throws -> Response { response }
}

extension HTTPField.Name {
    // The names are valid tokens; a nil would only leave the field out.
    static let internalAuth = HTTPField.Name("X-Internal-Auth") ?? .authorization
    static let idempotencyKey = HTTPField.Name("Idempotency-Key") ?? .ifMatch
    static let replica = HTTPField.Name("X-Agent-Replica") ?? .server
    static let accelBuffering = HTTPField.Name("X-Accel-Buffering") ?? .cacheControl
    static let traceparent = HTTPField.Name("traceparent") ?? .via
    static let requestID = HTTPField.Name("X-Request-ID") ?? .via
    static let deprecation = HTTPField.Name("Deprecation") ?? .via
    static let link = HTTPField.Name("Link") ?? .via
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site") ?? .via
    static let lastEventID = HTTPField.Name("Last-Event-ID") ?? .ifMatch
}
