import AgentService
import JSONText
import NIOCore
import SessionStore

/// Writes the native stream: Server-Sent Events with the JSON of docs/http-api.md.
///
/// By hand, since every text delta passes here: `JSONEncoder` takes six times as long for one.
struct NativeEncoder: StreamEncoder {
    /// What surrounds the sequence number in the events of one lease. Made when the first event of
    /// the lease comes.
    private struct LeaseText {
        var step = 0
        var nonce = ""
        var prefix = ""
        var suffix = ""
        var textDelta = ""
        var reasoningDelta = ""

        init() {}

        init(_ id: EventID) {
            (step, nonce) = (id.step, id.nonce)
            prefix = "id: \(step)-"
            suffix = ".\(nonce)\n"
            textDelta = suffix + NativeEncoder.textDelta
            reasoningDelta = suffix + NativeEncoder.reasoningDelta
        }
    }

    private static let textDelta = "event: message\ndata: {\"type\":\"assistant_message\",\"token\":"
    private static let reasoningDelta = "event: message\ndata: {\"type\":\"reasoning\",\"token\":"

    private var lease = LeaseText()

    mutating func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer) {
        if let id, id.step != lease.step || id.nonce != lease.nonce { lease = LeaseText(id) }
        switch event {
        case .textDelta(let text):
            write(delta: text, id, behind: id == nil ? Self.textDelta : lease.textDelta, into: &bytes)
        case .reasoningDelta(let text):
            write(delta: text, id, behind: id == nil ? Self.reasoningDelta : lease.reasoningDelta, into: &bytes)
        case .text(let text, let isFinal):
            write("message", id, into: &bytes) { $0.writeText(text, isFinal: isFinal) }
        case .toolCall(let call, let isLast):
            write("message", id, into: &bytes) { $0.writeCall(call, isLast: isLast) }
        case .restarted(let restart):
            write("restart", id, into: &bytes) { $0.writeRestart(restart) }
        case .failed(let failure):
            write("error", id, into: &bytes) { $0.writeFailure(failure) }
        case .finished(let summary):
            write("done", id, into: &bytes) { $0.writeSummary(summary) }
        }
    }

    private func write(delta text: String, _ id: EventID?, behind opening: String, into bytes: inout ByteBuffer) {
        if let id {
            bytes.writeString(lease.prefix)
            bytes.writeDecimal(id.sequence)
        }
        bytes.writeString(opening)
        bytes.writeJSONString(text)
        bytes.writeStaticString(",\"is_final\":false}\n\n")
    }

    private func write(_ name: StaticString, _ id: EventID?, into bytes: inout ByteBuffer, _ data: (inout ByteBuffer) -> Void) {
        if let id {
            bytes.writeString(lease.prefix)
            bytes.writeDecimal(id.sequence)
            bytes.writeString(lease.suffix)
        }
        bytes.writeStaticString("event: ")
        bytes.writeStaticString(name)
        bytes.writeStaticString("\ndata: ")
        data(&bytes)
        bytes.writeStaticString("\n\n")
    }

    func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer) {
        switch signal {
        case .keepAlive: bytes.writeStaticString(": keep-alive\n\n")
        case .resumeElsewhere: bytes.writeStaticString(": this replica stops\nretry: 100\n\n")
        case .resumeLater: bytes.writeStaticString(": nothing is heard of this step at the moment\nretry: 1000\n\n")
        case .credentialEnded: bytes.writeStaticString(": the credential has ended\nretry: 100\n\n")
        }
    }
}
