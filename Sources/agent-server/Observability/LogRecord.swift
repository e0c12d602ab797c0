import FoundationEssentials
import JSONText
import Logging
import NIOCore
import SessionStore

/// One log line that is not written yet. The thread that logs pays for no more than this.
struct LogRecord: Sendable {
    var time: Date
    var label: String
    var event: LogEvent
    /// The logger's own metadata. That of the event overrides it.
    var context: Logger.Metadata

    /// All of the metadata, sorted by key.
    var fields: [(key: String, value: String)] {
        var fields = context.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
        if let error = event.error, fields["error"] == nil { fields["error"] = "\(error)" }
        return fields.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
    }
}

/// The form of a log line.
enum LogFormat: Sendable {
    case text
    /// One object per line, with the replica's name.
    case json(replica: String)

    /// The members that every object has.
    private static let own: Set<String> = ["time", "level", "logger", "replica", "message"]

    func write(_ record: LogRecord, into line: inout ByteBuffer) {
        switch self {
        case .text: writeText(record, into: &line)
        case .json(let replica): writeJSON(record, replica: replica, into: &line)
        }
        line.writeString("\n")
    }

    private func writeText(_ record: LogRecord, into line: inout ByteBuffer) {
        LogTime.write(record.time, into: &line)
        line.writeString(" \(record.event.level.rawValue) \(record.label):")
        for (key, value) in record.fields { line.writeString(" \(Self.oneLine(key))=\(Self.oneLine(value))") }
        line.writeString(" [\(record.event.source)] \(Self.oneLine("\(record.event.message)"))")
    }

    /// Escapes control characters: text of others must not begin a line of its own, nor move the
    /// terminal's cursor.
    private static func oneLine(_ text: String) -> String {
        let isControl = { (scalar: Unicode.Scalar) in
            scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value || 0x2028...0x2029 ~= scalar.value
        }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return text.unicodeScalars.map { isControl($0) ? "\\u{\(String($0.value, radix: 16))}" : String($0) }.joined()
    }

    private func writeJSON(_ record: LogRecord, replica: String, into line: inout ByteBuffer) {
        line.writeString(#"{"time":""#)
        LogTime.write(record.time, into: &line)
        line.writeString("\",\"level\":\"\(record.event.level.rawValue)\",\"logger\":")
        line.writeJSONString(record.label)
        line.writeString(",\"replica\":")
        line.writeJSONString(replica)
        line.writeString(",\"message\":")
        line.writeJSONString("\(record.event.message)")
        let fields = record.fields
        let keys = Set(fields.map(\.key))
        for (key, value) in fields {
            var name = key
            // Readers of JSON disagree about a name that occurs twice.
            while Self.own.contains(name) || (name != key && keys.contains(name)) { name = "meta_\(name)" }
            line.writeString(",")
            line.writeJSONString(name)
            line.writeString(":")
            line.writeJSONString(value)
        }
        line.writeString("}")
    }
}
