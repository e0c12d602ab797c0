import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// The end of a step whose events have left the log, made from the journal and the history.
///
/// The text comes whole, without its deltas.
struct ReconstructedStep {
    /// The number of the step that ended; of a chain of steps that replaced each other, the last
    /// one.
    let step: Int
    /// Messages of the history that the step added.
    let range: Range<Int>
    private let line: JSONSlice
    private let status: StepStatus

    /// The result of a search in a journal.
    enum Lookup {
        case found(ReconstructedStep)
        /// The step's line is gone, or unreadable.
        case missing
        /// The line with the step's number belongs to a session that was begun under the same name
        /// later.
        case otherSession
    }

    /// Finds the line of a step, or of the step that replaced it in the end.
    ///
    /// - Parameters:
    ///   - nonce: The nonce of the step's event ids; nil where the reader has none.
    ///   - isComplete: Whether the journal still has all its lines.
    static func find(_ step: Int, nonce: String?, journal lines: [ByteBuffer], isComplete: Bool) -> Lookup {
        var hasEarlier = isComplete
        for text in lines {
            guard let line = try? JSONSlice(parsing: text), let number = line["step"]?.integer else { continue }
            guard number >= step else {
                hasEarlier = true
                continue
            }
            // Steps end one after another. A later step's line is this one's if no line between
            // them was dropped.
            guard number == step || hasEarlier else { return .missing }
            // Lines of earlier builds have no nonces.
            if let nonce, let written = line["nonce"]?.string, !(number == step && written == nonce), !replaces(line, step, nonce) {
                return .otherSession
            }
            return ReconstructedStep(line, number: number).map { .found($0) } ?? .missing
        }
        return .missing
    }

    private static func replaces(_ line: JSONSlice, _ step: Int, _ nonce: String) -> Bool {
        line["replaced"]?.elements.contains { $0.string == "\(step).\(nonce)" } ?? false
    }

    /// The bound on a history's length. A line with a longer one was written by hand.
    private static let longestHistory = 1 << 32

    private init?(_ line: JSONSlice, number: Int) {
        guard let status = line["status"]?.string.flatMap(StepStatus.init(rawValue:)),
            let from = line["history"]?.elements.first(where: { _ in true })?.integer,
            let to = line["history"]?.elements.dropFirst().first(where: { _ in true })?.integer, 0 <= from, from <= to,
            to <= Self.longestHistory
        else { return nil }
        (step, self.status, self.line, range) = (number, status, line, from..<to)
    }

    /// Returns the step's last events: those before ``TurnEvent/finished(_:)``, and its summary.
    ///
    /// - Parameter messages: The messages of the history at ``range``.
    func events(_ session: SessionID, messages: [ByteBuffer]) -> (events: [TurnEvent], summary: StepSummary) {
        let messages = messages.compactMap { try? JSONSlice(parsing: $0) }
        var events: [TurnEvent] = []
        let calls = Self.openCalls(messages)
        switch status {
        case .failed:
            let code = line["error"]?.string ?? "internal_error"
            let message = "this step failed; its events are no longer there"
            let retryable = LLMError.Code(rawValue: code)?.isRetryable ?? true
            events.append(
                .failed(StepFailure(message, code: code, isRetryable: retryable, upstreamCode: line["upstream_code"]?.string)))
        case .completed, .cancelled, .waiting:
            let text = messages.compactMap { $0["role"]?.string == "assistant" ? $0["content"]?.string : nil }.joined()
            if !text.isEmpty || status == .completed { events.append(.text(text, isFinal: status != .waiting)) }
            for (index, call) in calls.enumerated() { events.append(.toolCall(call, isLast: index == calls.count - 1)) }
        }
        let summary = StepSummary(
            status: status, session: session, step: step, historyLength: range.upperBound, pendingCalls: calls.map(\.id),
            // Lines of earlier builds have no reason.
            finishReason: line["finish_reason"]?.string, usage: line["usage"].map { TokenUsage(journaled: $0) },
            metadata: line["metadata"]?.text.buffer)
        return (events, summary)
    }

    /// Returns the calls that the client was sent: those of the last completion without the calls
    /// with bad arguments, whose results the step itself has written.
    private static func openCalls(_ messages: [JSONSlice]) -> [IssuedCall] {
        let answered = Set(messages.compactMap { $0["tool_call_id"]?.string })
        let last = messages.last { $0["role"]?.string == "assistant" }
        return (last?["tool_calls"]?.elements.map { $0 } ?? []).compactMap { call in
            guard let id = call["id"]?.string, !answered.contains(id), let function = call["function"] else { return nil }
            return IssuedCall(
                id: id, name: function["name"]?.string ?? "", arguments: ByteBuffer(string: function["arguments"]?.string ?? "{}"))
        }
    }
}
