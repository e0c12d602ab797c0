import HTTPTypes
import Hummingbird
import JSONText
import NIOCore
import RedisClient

/// An error response: `application/problem+json` (RFC 9457) with a stable `code`.
///
/// All problems are made in this folder, so that it has every status that an error can have.
struct Problem: Error, HTTPResponseError, Sendable {
    var status: HTTPResponse.Status
    var code: String
    /// One sentence for people; names the field if one is to blame.
    var detail: String
    /// Further members, as JSON.
    var members: [(name: String, json: String)] = []
    var headers: HTTPFields = [:]
    /// For the log alone: what is not the client's business.
    var cause: String?

    init(_ code: Code, _ detail: String) {
        self.init(code.status, code.rawValue, detail)
    }

    /// A problem whose status is not its code's own, or whose code comes from elsewhere. Only this
    /// folder uses it.
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

    func with(member name: String, _ value: String) -> Problem {
        var json = ByteBuffer()
        json.writeJSONString(value)
        var copy = self
        copy.members.append((name, String(buffer: json)))
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
