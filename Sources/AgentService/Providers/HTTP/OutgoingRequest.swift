import AsyncHTTPClient
import NIOCore

/// A request to the model as it goes over the wire. It may be sent more than once.
struct OutgoingRequest: Sendable {
    private let head: HTTPClient.Request
    private var content: OpenAIRequestBody
    private var body: ByteBuffer { content.bytes }
    /// Counts the body for as long as this is there.
    private let share: ByteShare?

    /// A large body is handed on in parts, so that other streams have their turn in between, and TLS does not double all of it.
    private static let part = 256 << 10

    init(_ request: LLMRequest, to provider: OpenAIProvider) {
        head = provider.upstreamRequest(request)
        let configuration = provider.configuration
        content = OpenAIRequestBody(
            request, stream: configuration.stream, form: configuration.form, concessions: provider.concessions)
        share = request.share
        // The messages are let go of now.
        share?.resize(to: content.bytes.readableBytes)
    }

    /// What could be conceded to a server that refuses the request.
    var concessions: Concessions { content.concessions }

    mutating func concede(_ concessions: Concessions) {
        content = content.conceding(concessions)
        share?.resize(to: content.bytes.readableBytes)
    }

    var request: HTTPClient.Request {
        var request = head
        if body.readableBytes <= Self.part {
            request.body = .byteBuffer(body)
        } else {
            request.body = .stream(contentLength: Int64(body.readableBytes)) { [body] writer in Self.write(body, to: writer) }
        }
        return request
    }

    private static func write(_ body: ByteBuffer, to writer: HTTPClient.Body.StreamWriter) -> EventLoopFuture<Void> {
        var rest = body
        let written = writer.write(.byteBuffer(rest.readSlice(length: min(part, rest.readableBytes)) ?? ByteBuffer()))
        guard rest.readableBytes > 0 else { return written }
        return written.flatMap { [rest] in write(rest, to: writer) }
    }
}
