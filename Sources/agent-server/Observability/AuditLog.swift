import Foundation
import Logging
import NIOCore
import SessionStore

/// Logs security events, one line for each, under the label `audit`. Lines hold no secret and
/// nothing of a conversation.
///
/// The lines do not depend on the level of the other lines. Refusals are limited
/// (``RefusalLimit``), since a client without a credential can cause them; changes and reads leave a
/// line each.
struct AuditLog: Sendable {
    static let label = "audit"

    let level: AuditLevel
    private let logger: Logger
    private let refusals = RefusalLimit()

    /// - Parameter logger: Gets the lines; its label should be ``label``.
    init(level: AuditLevel, logger: Logger) {
        self.level = level
        var logger = logger
        logger.logLevel = .notice
        self.logger = logger
    }

    func includes(_ event: AuditEvent) -> Bool { level.includes(event) }

    /// Logs an event that a request has caused.
    ///
    /// - Parameters:
    ///   - context: The request, with its principal.
    ///   - session: The session that the event is about.
    ///   - target: The subject that the event is about, if the request does not act for it.
    ///   - more: Further fields. They override those of the request.
    func note(
        _ event: AuditEvent, _ context: AgentRequestContext, session: SessionID? = nil, target: Subject? = nil,
        _ more: Logger.Metadata = [:]
    ) {
        guard level.includes(event) else { return }
        let client = LogText.Client(address: context.channel.remoteAddress)
        var fields = fields(event, tenant: context.principal.tenant)
        fields["credential"] = .string(context.principal.credential)
        fields["request"] = .string(context.requestID)
        fields["client_address"] = .stringConvertible(client)
        if case .subject(let subject) = context.principal.requester { fields["subject"] = .string(subject.text) }
        if let session { fields["session"] = .string(session.text) }
        if let target { fields["target_subject"] = .string(target.text) }
        fields.merge(more) { $1 }
        guard event.kind == .refusal else { return write(event, fields) }
        let key = RefusalTable.Key(event: event, address: client.description)
        if refusals.admits(key, on: context.channel.eventLoop, onCount: noteCount) { write(event, fields) }
    }

    /// Logs an event that no request has caused.
    ///
    /// - Parameter isRefused: Whether the server has refused the change: a file that cannot be used.
    func note(_ event: AuditEvent, isRefused: Bool = false, _ more: Logger.Metadata) {
        guard level.includes(event) else { return }
        var fields = fields(event, tenant: nil)
        if isRefused { fields["outcome"] = "refused" }
        write(event, fields.merging(more) { $1 }, level: isRefused ? .warning : nil)
    }

    private func fields(_ event: AuditEvent, tenant: TenantID?) -> Logger.Metadata {
        var fields: Logger.Metadata = [
            "event": .string(event.rawValue), "outcome": event.kind == .refusal ? "refused" : "done",
            "at": .stringConvertible(LogText.Time(date: .now)),
        ]
        if let tenant { fields["tenant"] = .stringConvertible(tenant) }
        return fields
    }

    private func write(_ event: AuditEvent, _ fields: Logger.Metadata, level: Logger.Level? = nil) {
        logger.log(level: level ?? (event.kind == .refusal ? .warning : .notice), event.message, metadata: fields)
    }

    /// Logs how many refusals of an address have left no line of their own.
    private func noteCount(_ key: RefusalTable.Key, _ count: Int) {
        var fields = fields(key.event, tenant: nil)
        fields["client_address"] = .string(key.address)
        fields["count"] = .stringConvertible(count)
        logger.warning("more of these events", metadata: fields)
    }
}
