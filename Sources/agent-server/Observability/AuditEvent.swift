import Logging

/// A kind of security event. Its raw value is the `event` of the line, a name that stays.
enum AuditEvent: String, CaseIterable, Sendable {
    /// A request's credential was missing, wrong or expired, or does not allow the request.
    case authFailed = "auth.failed"
    /// A message has created a session.
    case sessionCreated = "session.created"
    /// A principal other than the session's owner has read it.
    case sessionRead = "session.read"
    case sessionDeleted = "session.deleted"
    /// A principal other than the session's owner has cancelled its step.
    case stepCancelled = "step.cancelled"
    /// A file of keys was read again, or could not be used.
    case keysReloaded = "keys.reloaded"
    /// A request was refused because its principal uses as much as it may.
    case limitRefused = "limit.refused"
    /// A ticket for a session's stream was issued.
    case ticketIssued = "ticket.issued"
    case subjectErased = "subject.erased"
    case subjectExported = "subject.exported"
    /// The usage of another subject was read.
    case usageRead = "usage.read"

    enum Kind: Sendable { case refusal, change, read }

    var kind: Kind {
        switch self {
        case .authFailed, .limitRefused: .refusal
        case .sessionCreated, .sessionDeleted, .stepCancelled, .keysReloaded, .ticketIssued, .subjectErased: .change
        case .sessionRead, .subjectExported, .usageRead: .read
        }
    }

    /// The line's words, which may change.
    var message: Logger.Message {
        switch self {
        case .authFailed: "a key was refused"
        case .sessionCreated: "a session was created"
        case .sessionRead: "a session was read by another than its owner"
        case .sessionDeleted: "a session was deleted"
        case .stepCancelled: "a step was cancelled by another than its session's owner"
        case .keysReloaded: "the keys were read again"
        case .limitRefused: "a limit has refused a request"
        case .ticketIssued: "a ticket was issued"
        case .subjectErased: "the erasure of a subject was requested"
        case .subjectExported: "a subject was exported"
        case .usageRead: "the usage of another subject was read"
        }
    }
}

/// Which security events leave a line.
enum AuditLevel: String, CaseIterable, Sendable {
    case off
    /// Refusals and changes.
    case writes
    /// Reads as well.
    case all

    func includes(_ event: AuditEvent) -> Bool {
        switch self {
        case .off: false
        case .writes: event.kind != .read
        case .all: true
        }
    }
}
