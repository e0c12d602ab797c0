import AgentService
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

extension AgentRoutes {
    /// Some programs put it before their JSON (RFC 8259, section 8.1).
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Reads the request's body, at most as many bytes as the setting allows, and notes its
    /// unknown members.
    ///
    /// The bytes that have arrived count, not those that a client announces: to take all the room, a
    /// client has to send as much.
    ///
    /// - Parameter mayBeAbsent: Whether the body may be empty. Some clients declare a type of an
    ///   empty body, too.
    /// - Returns: The body, and its share of the bytes that this replica holds. The caller keeps the
    ///   share as long as the body.
    func body(_ request: Request, _ context: Context, mayBeAbsent: Bool = false) async throws -> (ByteBuffer, ByteShare) {
        let refusal = refusal(of: request.headers)
        if let refusal, !mayBeAbsent { throw refusal }
        let tooLarge = Problem.bodyTooLarge(limit: settings.bodyLimit)
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
            // The client or its connection is to blame: a line for each would let anyone fill the
            // log.
            context.logger.debug("a body could not be read", metadata: ["error": "\(error)", "code": "invalid_request"])
            throw error is HTTPParserError ? Problem.bodyMalformed : Problem.bodyIncomplete
        }
        if let refusal, body.readableBytes > 0 { throw refusal }
        if body.readableBytesView.starts(with: Self.byteOrderMark) { body.moveReaderIndex(forwardBy: Self.byteOrderMark.count) }
        if let endpoint = context.endpoint { context.unknownMembers.note(body, known: endpoint.members) }
        return (body, share)
    }

    /// Returns why a body with these headers is refused; nil if it is not.
    private func refusal(of headers: HTTPFields) -> Problem? {
        let media = headers[.contentType].map { $0.prefix { $0 != ";" }.lowercased().trimmingSpaces }
        // Without a key the type is required: a web page may send a body without one to any server.
        let isJSON = media.map { $0 == "application/json" || $0.hasSuffix("+json") } ?? settings.hasCredentials
        guard isJSON else { return .bodyNotJSON }
        guard headers[.contentEncoding].map({ $0.lowercased() == "identity" }) ?? true else {
            return .bodyCoded
        }
        return nil
    }
}
