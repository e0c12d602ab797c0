/// What one client has seen of one session.
struct SessionRecord: Sendable {
    var id: String
    var tenant = DrillTenant.only()
    /// The session's name in Redis.
    var name: String { tenant.name.isEmpty ? id : "\(tenant.name)/\(id)" }
    var messages: [MessageRecord] = []
    /// Violations that the client noticed in its streams.
    var violations: [Violation] = []
}

/// A user message and its turn.
struct MessageRecord: Sendable {
    var text: String
    /// Whether a step of its turn has ended without failing. The service stores a step before it
    /// sends its end, so the history must then hold the message, once.
    var isAcknowledged = false
    /// The steps of the turn.
    var answers: [AnswerRecord] = []
}

/// How a step ended, according to its stream.
struct AnswerRecord: Sendable {
    var step: Int
    var status: String
    /// The final text; nil if the step has none.
    var content: String?
    /// The ids of its calls, in the model's order.
    var calls: [String] = []
    /// The results that the service has accepted, by call.
    var results: [String: String] = [:]
}

/// A promise that the service broke.
struct Violation: Sendable, Hashable, CustomStringConvertible {
    enum Kind: String, Sendable, CaseIterable {
        /// An acknowledged message, text or result is not in the history.
        case lost
        /// The history holds a message, a text or a result twice.
        case duplicate
        /// A step does not end, or a request never got a complete stream.
        case stuck
        /// A stream has a gap, events out of order, or a text that differs from its deltas.
        case stream
        /// A model server would refuse the history, or a text mixes two generations.
        case history
        /// A well-behaved client got a response that it must not get.
        case answer
        /// A session holds something of another tenant.
        case foreign
        /// An account has more leases than its limit.
        case limit

        /// The name of a row that counts these violations.
        var title: String {
            switch self {
            case .lost: "lost"
            case .duplicate: "duplicates"
            case .stuck: "stuck"
            case .stream: "faulty streams"
            case .history: "invalid histories"
            case .answer: "wrong responses"
            case .foreign: "other tenants' bytes"
            case .limit: "exceeded limits"
            }
        }
    }

    var kind: Kind
    var session: String
    var detail: String

    var description: String { "\(kind.rawValue): session \(session): \(detail)" }
}
