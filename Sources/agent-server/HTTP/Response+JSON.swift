import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
    static func json(_ text: String) -> Response {
        json(ByteBuffer(string: text))
    }

    static func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"], body: ResponseBody(byteBuffer: body))
    }
}
