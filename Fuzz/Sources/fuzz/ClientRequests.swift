import NIOCore

@testable import AgentService
@testable import JSONText
@testable import SessionStore

/// Feeds the service what a client sends: bodies, and the texts of headers, queries and paths.
final class ClientRequests: Target {
    private(set) var accepted = 0

    func run(_ input: [UInt8]) {
        let input = Input(input)
        let body = ByteBuffer(bytes: input.bytes)
        let text = String(decoding: input.bytes, as: UTF8.self)
        let header = input.choices[2] & 1 == 0 ? nil : String(text.prefix(Int(input.choices[3])))
        if let request = try? TurnRequest(
            body: body, tenant: .standard, as: .tenant, idempotencyKey: header, lastEventID: nil, traceparent: header)
        {
            check(request)
        }
        if let request = try? TurnRequest(legacyBody: body, tenant: .standard, as: .tenant) { check(request) }
        names(text)
        json(body)
        _ = try? ToolRegistry(parsing: body)
        if let rewind = try? RewindFields(body: body) { hold(rewind.historyLength > 0, "\(rewind)") }
    }

    private func check(_ request: TurnRequest) {
        switch request.input {
        case .user(let message), .toolResult(let message, _, _), .replacement(let message):
            let value = try? JSONSlice(parsing: message)
            hold(value?["role"]?.string != nil, "a message that is accepted is none: \(String(buffer: message))")
        case .retry: break
        }
        for part in [request.settings.tools, request.settings.metadata].compactMap({ $0 }) {
            hold((try? CheckedJSON(parsing: part)) != nil, "what is stored is no JSON: \(String(buffer: part))")
        }
        hold(SessionID(request.session.text) == request.session, "\(request.session)")
    }

    /// Reads each line as an id, as it comes in headers, queries and paths.
    private func names(_ text: String) {
        guard let session = SessionID("s") else { return }
        for line in text.split(separator: "\n", maxSplits: 4) {
            if let id = EventID(line) {
                hold(EventID(id.description) == id, "\(id)")
                let entry = LogEntry(step: id.step, lastSequence: id.sequence, fields: [("token", ByteBuffer(string: "x"))])
                let view = LogView(status: .idle, step: 7, nonce: id.nonce, subject: "", leaseLeft: .zero, opening: nil, entries: [entry])
                for place in [.after(id), .before(id), LogPosition.resuming(after: id, in: view, joinsNext: true)].compactMap({ $0 }) {
                    var reader = LogReader(place, of: session)
                    var events: [IdentifiedEvent] = []
                    _ = reader.read([entry], into: &events)
                    _ = reader.position
                }
            }
            let name = String(line)
            if let cursor = SessionCursor(name, tenant: .standard) {
                hold(SessionCursor(cursor.description, tenant: .standard) == cursor, "\(cursor)")
            }
            if let session = SessionID(name) { hold(0..<RedisKeyspace.bucketCount ~= RedisKeys(session).bucket, "\(session)") }
        }
    }

    /// Checks that an accepted body is accepted again, both as it came and as the service encodes
    /// it.
    private func json(_ body: ByteBuffer) {
        guard let value = try? JSONSlice(parsing: body) else { return }
        accepted += 1
        var written = ByteBuffer()
        written.writeSSESafeJSON(value.buffer)
        hold((try? JSONSlice(parsing: written)) != nil, "no JSON any more: \(String(buffer: written))")
        walk(value, depth: 0)
    }

    private func walk(_ value: JSONSlice, depth: Int) {
        _ = (value.integer, value.bool, value.isNull, value.text)
        if let string = value.string {
            var written = ByteBuffer()
            written.writeJSONString(string)
            hold((try? JSONSlice(parsing: written))?.string == string, "another string: \(string.debugDescription)")
        }
        guard depth < 20 else { return }
        for element in value.elements { walk(element, depth: depth + 1) }
        for member in value.members { walk(member.value, depth: depth + 1) }
    }
}
