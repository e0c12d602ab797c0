import AgentService
import Foundation
import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `DELETE /agent/subjects/{subject}`: sweepers erase what the subject has, on any replica.
    func eraseSubject(_ context: Context) async throws -> Response {
        let subject = try subject(context)
        try await stored { () throws(StoreError) in try await store.erase(subject, in: context.principal.tenant) }
        audit.note(.subjectErased, context, target: subject)
        var body = ByteBuffer(string: #"{"subject":"#)
        body.writeJSONString(subject.text)
        body.writeString("}")
        return .json(body, status: .accepted)
    }

    /// `GET /agent/subjects/{subject}/export`: a line of JSON for each part. The server reads a part
    /// when the client has taken the one before.
    func exportSubject(_ context: Context) async throws -> Response {
        let subject = try subject(context)
        // The share of one part, for as long as the client reads.
        guard let share = await service.roomToRead() else { throw Problem.crowded }
        var lines = SubjectLines(store: store, subject: subject, tenant: context.principal.tenant)
        // An error of Redis before the first line still has a status.
        let first: ByteBuffer?
        do { first = try await lines.line() } catch let error as StoreError { throw Problem(error) }
        audit.note(.subjectExported, context, target: subject)
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store, no-transform", .accelBuffering: "no"],
            body: ResponseBody { [lines] writer in
                defer { withExtendedLifetime(share) {} }
                var (lines, next) = (lines, first)
                while let line = next {
                    // One message may be larger than a page.
                    share.resize(to: max(share.bytes, 2 * line.readableBytes))
                    try await writer.write(line)
                    // A failure cuts the response off: the last line is missing.
                    next = try await lines.line()
                }
                try await writer.finish(nil)
            })
    }

    private func subject(_ context: Context) throws -> Subject {
        guard let subject = context.parameters.get("subject")?.removingPercentEncoding.flatMap({ Subject($0) }) else {
            throw Problem.badSubjectInPath
        }
        return subject
    }
}
