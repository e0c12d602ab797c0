import AgentService
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

extension AgentRoutes {
    /// What some programs put before their JSON (RFC 8259, section 8.1).
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// The request's body, at most as long as the setting allows.
    ///
    /// What has come of it counts, not what a client says that it will send: to take all the room it has to send as much.
    ///
    /// - Parameter mayBeAbsent: Clients name a type of a body without bytes, too.
    /// - Returns: The body, and what counts it among those that are held: to be kept as long.
    func body(_ request: Request, _ context: Context, mayBeAbsent: Bool = false) async throws -> (ByteBuffer, ByteShare) {
        let refusal = refusal(of: request.headers)
        if let refusal, !mayBeAbsent { throw refusal }
        let tooLarge = Problem(.contentTooLarge, "body_too_large", "the body is larger than \(settings.bodyLimit) bytes")
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > settings.bodyLimit {
            throw tooLarge
        }
        guard let share = bodies.take(0) else { throw Problem.crowded }
        var body = ByteBuffer()
        do {
            for try await part in request.body {
                guard body.readableBytes + part.readableBytes <= settings.bodyLimit else { throw tooLarge }
                share.add(part.readableBytes)
                guard bodies.used <= bodies.limit else { throw Problem.crowded }
                if body.readableBytes == 0 { body = part } else { body.writeImmutableBuffer(part) }
            }
        } catch let error as Problem {
            throw error
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch let error as CancellationError {
            throw error
        } catch {
            // The client's doing, or its connection's: a line for each would let anyone fill the
            // log.
            context.logger.debug("a body could not be read", metadata: ["error": "\(error)", "code": "invalid_request"])
            let isHTTP = !(error is HTTPParserError)
            throw Problem(.badRequest, "invalid_request", "the body \(isHTTP ? "broke off" : "is not what its Transfer-Encoding says")")
        }
        if let refusal, body.readableBytes > 0 { throw refusal }
        if body.readableBytesView.starts(with: Self.byteOrderMark) { body.moveReaderIndex(forwardBy: Self.byteOrderMark.count) }
        return (body, share)
    }

    /// Why a body with these headers is not taken.
    private func refusal(of headers: HTTPFields) -> Problem? {
        let media = headers[.contentType].map { $0.prefix { $0 != ";" }.lowercased().trimmingSpaces }
        // Without a key the type must be there: a web page may send a body without one to any
        // server.
        let isJSON = media.map { $0 == "application/json" || $0.hasSuffix("+json") } ?? (settings.internalAPIKey != nil)
        guard isJSON else { return Problem(.unsupportedMediaType, "unsupported_media_type", "the body must be application/json") }
        guard headers[.contentEncoding].map({ $0.lowercased() == "identity" }) ?? true else {
            return Problem(.unsupportedMediaType, "unsupported_media_type", "a body with a Content-Encoding is not taken")
        }
        return nil
    }
}
