import AsyncHTTPClient
import NIOCore

/// A request to the model as it goes over the wire. It may be sent more than once.
struct OutgoingRequest: Sendable {
    private let head: HTTPClient.Request
    private var body: EncodedRequest
    /// Counts the body for as long as this request exists.
    private let share: (any HeldBytes)?

    /// A large body is passed on in parts, so that other streams have their turn in between, and
    /// TLS does not double all of it.
    private static let part = 256 << 10

    init(_ request: LLMRequest, to model: HTTPLanguageModel) {
        head = model.head(of: request)
        body = model.encode(request)
        share = request.share
        // The messages are released now.
        share?.resize(to: body.bytes.readableBytes)
    }

    /// What can be conceded to a server that refuses the request.
    var concessions: Concessions { body.concessions }

    mutating func concede(_ concessions: Concessions) {
        body.concede(concessions)
        share?.resize(to: body.bytes.readableBytes)
    }

    var request: HTTPClient.Request {
        let bytes = body.bytes
        var request = head
        if bytes.readableBytes <= Self.part {
            request.body = .byteBuffer(bytes)
        } else {
            request.body = .stream(contentLength: Int64(bytes.readableBytes)) { writer in Self.write(bytes, to: writer) }
        }
        return request
    }

    private static func write(_ bytes: ByteBuffer, to writer: HTTPClient.Body.StreamWriter) -> EventLoopFuture<Void> {
        var rest = bytes
        let written = writer.write(.byteBuffer(rest.readSlice(length: min(part, rest.readableBytes)) ?? ByteBuffer()))
        guard rest.readableBytes > 0 else { return written }
        return written.flatMap { [rest] in write(rest, to: writer) }
    }
}
