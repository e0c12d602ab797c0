import JSONText
import NIOCore
import SessionStore

/// Writes the events of one step, for the client's socket and for the log.
///
/// By hand, since a token passes here: `JSONEncoder` takes six times as long for one chunk. The shapes are the `StreamChunk` and
/// the `done` of docs/http-api.md; no field but the `finish_reason` of `done` is null. What is not in the log carries no `id`.
struct EventEncoder: Sendable {
    private let idPrefix: String
    private let idSuffix: String
    private let tokenPrefix: String
    private let reasoningPrefix: String

    init(step: Int, nonce: String) {
        idPrefix = "id: \(step)-"
        idSuffix = ".\(nonce)\n"
        let message = idSuffix + #"event: message"# + "\n"
        tokenPrefix = message + #"data: {"type":"assistant_message","token":"#
        reasoningPrefix = message + #"data: {"type":"reasoning","token":"#
    }

    /// `assistant_message` with a piece of the text.
    func write(token: String, sequence: Int, into buffer: inout ByteBuffer) {
        write(token, behind: tokenPrefix, sequence: sequence, into: &buffer)
    }

    /// `reasoning` with a piece of what the model thought.
    func write(reasoning: String, sequence: Int, into buffer: inout ByteBuffer) {
        write(reasoning, behind: reasoningPrefix, sequence: sequence, into: &buffer)
    }

    private func write(_ text: String, behind prefix: String, sequence: Int, into buffer: inout ByteBuffer) {
        buffer.writeString(idPrefix)
        buffer.writeDecimal(sequence)
        buffer.writeString(prefix)
        buffer.writeJSONString(text)
        buffer.writeStaticString(",\"is_final\":false}\n\n")
    }

    /// Any other event.
    func write(_ name: LoggedEvents.Name, json: ByteBuffer, sequence: Int, into buffer: inout ByteBuffer) {
        buffer.writeString(idPrefix)
        buffer.writeDecimal(sequence)
        buffer.writeString(idSuffix)
        Self.writeBody(name, json: json, into: &buffer)
    }

    /// An event that the log does not have.
    ///
    /// - Parameter id: Of a place in the log where whoever resumes goes on.
    static func write(unlogged name: LoggedEvents.Name, json: ByteBuffer, id: EventID? = nil, into buffer: inout ByteBuffer) {
        if let id { buffer.writeString("id: \(id)\n") }
        writeBody(name, json: json, into: &buffer)
    }

    private static func writeBody(_ name: LoggedEvents.Name, json: ByteBuffer, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("event: ")
        buffer.writeString(name.rawValue)
        buffer.writeStaticString("\ndata: ")
        buffer.writeImmutableBuffer(json)
        buffer.writeStaticString("\n\n")
    }
}
