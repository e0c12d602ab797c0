import FoundationEssentials
import Logging

/// How many log lines were dropped, and how many of them tell of security events.
struct DroppedLines: Sendable {
    private(set) var count = 0
    private(set) var audit = 0

    mutating func add(_ record: LogRecord) {
        count += 1
        if record.label == AuditLog.label { audit += 1 }
    }

    mutating func add(_ others: DroppedLines, _ records: some Sequence<LogRecord>) {
        count += others.count
        audit += others.audit
        for record in records { add(record) }
    }

    /// The line about them.
    var report: LogRecord {
        var metadata: Logger.Metadata = ["count": "\(count)"]
        if audit > 0 { metadata["audit"] = "\(audit)" }
        let event = LogEvent(
            level: .warning, message: "log lines were dropped: they came faster than they could be written",
            metadata: metadata, source: "agent_server", file: #fileID, function: #function, line: #line)
        return LogRecord(time: .now, label: "agent-server", event: event, context: [:])
    }
}
