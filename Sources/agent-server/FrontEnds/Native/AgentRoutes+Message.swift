import AgentService
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `POST /agent/message/stream`
    func messageStream(_ request: Request, _ context: Context) async throws -> Response {
        try requireEventStream(request)
        let (body, share) = try await body(request, context)
        var turn: TurnRequest
        do throws(RequestError) {
            turn = try TurnRequest(
                body: body, tenant: context.principal.tenant, as: context.principal.requester,
                idempotencyKey: request.headers[.idempotencyKey], lastEventID: request.headers[.lastEventID],
                traceparent: request.headers[.traceparent])
        } catch {
            throw Problem(error)
        }
        turn.requestID = context.requestID
        apply(context.principal, to: &turn)
        turn.whenCreated = whenCreated(turn.session, context)
        let stream = ClientStream(encoder: NativeEncoder(), limit: settings.clientBacklog)
        // Who may have to wait for the answer may leave meanwhile.
        if turn.onConflict != .reject { ClientStreamHandler.watch(stream, on: context.channel) }
        do throws(TurnError) {
            // The body counts until the message is accepted.
            defer { withExtendedLifetime(share) {} }
            try await service.start(turn, stream: stream)
        } catch {
            throw Problem(error)
        }
        return streamResponse(stream, session: turn.session, context)
    }

    /// The answer whose body is what the stream brings.
    func streamResponse(_ stream: ClientStream, session: SessionID, _ context: Context) -> Response {
        let channel = context.channel
        ClientStreamHandler.watch(stream, on: channel)
        // A client that is cut off, because it reads too slowly, may hold up the write; only
        // closing the connection ends that.
        stream.whenClosed { channel.close(promise: nil) }
        if let end = context.principal.expiresAt { stream.end(at: .now + .seconds(end.timeIntervalSinceNow) + settings.credentialGrace) }
        return Response(
            status: .ok,
            headers: streamHeaders(session),
            body: ResponseBody { writer in
                do {
                    // The handler writes, not this task: a token goes from the model's socket to
                    // the client's in one go.
                    try await ClientStreamHandler.deliver(stream, over: channel)
                    try await writer.finish(nil)
                } catch {
                    stream.close()
                    throw error
                }
            }
        )
    }

    func streamHeaders(_ session: SessionID) -> HTTPFields {
        [
            .contentType: "text/event-stream",
            // Proxies that compress would hold the events back.
            .cacheControl: "no-store, no-transform",
            .accelBuffering: "no",
            .location: "/agent/sessions/\(session)/stream",
            .replica: settings.replica,
        ]
    }

    func requireEventStream(_ request: Request) throws {
        guard accepts("text/event-stream", request.headers[.accept]) else {
            throw Problem.notAcceptable
        }
    }

    private func accepts(_ media: String, _ header: String?) -> Bool {
        guard let header, !header.isEmpty else { return true }
        let wanted = [media, media.prefix { $0 != "/" } + "/*", "*/*"]
        // The most exact range that matches decides; one of weight 0 refuses (RFC 9110, section
        // 12.5.1).
        let ranges = header.split(separator: ",").map { range in
            range.split(separator: ";", omittingEmptySubsequences: false).map { $0.lowercased().trimmingSpaces }
        }
        for name in wanted {
            guard let range = ranges.first(where: { $0.first == name }) else { continue }
            return !range.dropFirst().contains { $0.hasPrefix("q=") && Double($0.dropFirst(2)) == 0 }
        }
        return false
    }
}
