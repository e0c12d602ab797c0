import AgentService
import FoundationEssentials
import Logging
import NIOCore
import SessionStore

/// One JSON object per line on standard error.
struct JSONLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    let label: String

    init(label: String) {
        self.label = label
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = ByteBuffer()
        line.writeString(#"{"time":"#)
        line.writeJSONString(Date.now.formatted(.iso8601.time(includingFractionalSeconds: true)))
        line.writeString(",\"level\":\"\(event.level.rawValue)\",\"message\":")
        line.writeJSONString("\(event.message)")
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            line.writeString(",")
            line.writeJSONString(key)
            line.writeString(":")
            line.writeJSONString("\(value)")
        }
        line.writeString("}\n")
        var output = StandardError()
        output.write(String(buffer: line))
    }
}
