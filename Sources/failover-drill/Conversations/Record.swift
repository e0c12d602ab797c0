/// What one client was told of one session.
struct SessionRecord: Sendable {
    var id: String
    var messages: [MessageRecord] = []
    /// What a client of this service must never see, noticed while it was told.
    var violations: [Violation] = []
}

/// A user message, and all that came of it.
struct MessageRecord: Sendable {
    var text: String
    /// Its turn had an end that the service had stored: the message is in the history, once.
    var isAcknowledged = false
    var answers: [AnswerRecord] = []
}

/// How a step ended, as its client was told.
struct AnswerRecord: Sendable {
    var step: Int
    var status: String
    /// The final text; nil where there is none.
    var content: String?
    /// Call ids in the model's order.
    var calls: [String] = []
    /// What the client answered them with, once the service had taken it.
    var results: [String: String] = [:]
}

/// Something that must not be.
struct Violation: Sendable, Hashable, CustomStringConvertible {
    enum Kind: String, Sendable {
        /// An acknowledged message, answer or result is not in the history.
        case lost
        /// Something is there twice.
        case duplicate
        /// A session whose step does not end, or a request that was never answered.
        case stuck
        /// Events with a gap, out of order, or with text that is not the stored one.
        case stream
        /// A history that a model's server would refuse, or text of two generations in one answer.
        case history
        /// An answer that a well-behaved client must not get.
        case answer
    }

    var kind: Kind
    var session: String
    var detail: String

    var description: String { "\(kind.rawValue): session \(session): \(detail)" }
}
