import NIOCore
import SessionStore

/// The decisions of one step: gathers what the model says and concludes what is told, stored and asked next.
///
/// A value without effects: it knows no socket, no clock and no Redis.
struct StepStateMachine: Sendable {
    /// What the end of a generation leads to.
    enum Conclusion {
        case commit(Ending)
        /// The model is asked once more, with these messages after the history: none of its calls had usable arguments.
        case repair(Said)
    }

    /// Messages for the history, and what the model said beside them.
    struct Said {
        var messages: [ByteBuffer] = []
        /// With the index of the message that it belongs to.
        var reasoning: [(message: Int, entry: ReasoningEntry)] = []

        mutating func append(_ message: ByteBuffer, beside entry: ReasoningEntry) {
            if !entry.isEmpty { reasoning.append((messages.count, entry)) }
            messages.append(message)
        }

        static func + (first: Said, second: Said) -> Said {
            Said(
                messages: first.messages + second.messages,
                reasoning: first.reasoning + second.reasoning.map { ($0.message + first.messages.count, $0.entry) })
        }

        /// Returns the reasoning as it is stored.
        func stored(by author: String) -> [StoredReasoning] {
            reasoning.map { StoredReasoning(message: $0.message, json: $0.entry.json(by: author)) }
        }
    }

    /// What the end of a step writes and says.
    struct Ending {
        var status: StepStatus
        var said = Said()
        var calls: [ToolCall] = []
        /// The events before ``TurnEvent/finished(_:)``.
        var events: [TurnEvent] = []
        var errorCode: String?
        /// What the model's server itself calls the error, and the request that it is about.
        var upstreamCode: String?
        var upstreamRequest: String?
        /// Why the model stopped; nil where it is not known.
        var finishReason: FinishReason?
        /// The model's server has refused the request before the model said anything.
        var isRejected = false
    }

    struct Call {
        var id = ""
        var name = ""
        var arguments = ByteBuffer()
    }

    private let maximumBytes: Int
    private let maximumCalls: Int

    /// Everything that was shown to the client, over all generations of the step.
    private(set) var text = ByteBuffer()
    /// Where the current generation's text begins in `text`.
    private var generationStart = 0
    private(set) var calls: [Int: Call] = [:]
    private(set) var trace: ReasoningTrace?
    private var byteCount = 0
    private var isRepairing = false
    private var repaired = Said()
    private var spent = TokenUsage()
    private var generationUsage: TokenUsage?
    private(set) var finish: FinishReason?

    init(maximumBytes: Int, maximumCalls: Int) {
        self.maximumBytes = maximumBytes
        self.maximumCalls = maximumCalls
    }

    /// Whether the model has said what it cost.
    var hasUsage: Bool { generationUsage != nil || spent != TokenUsage() }

    /// What the step has cost so far, as far as the model has said it.
    var usage: TokenUsage {
        spent + (generationUsage ?? TokenUsage())
    }

    /// Takes in one event. A token is to be shown to the client as it is; nothing else is shown before the end.
    mutating func receive(_ event: LLMEvent) throws(LLMError) {
        switch event {
        case .textDelta(let token):
            try count(token.utf8.count)
            text.writeString(token)
        case .reasoningDelta(let text):
            // Shown as it is; what is stored comes with the trace, which the provider bounds.
            try count(text.utf8.count)
        case .reasoning(let trace):
            self.trace = trace
        case .toolCall(let index, let id, let name, let arguments):
            guard index >= 0, calls[index] != nil || calls.count < maximumCalls else {
                throw LLMError(.invalidResponse, "the model asked for more than \(maximumCalls) tool calls at once")
            }
            try count(arguments.utf8.count + (id?.utf8.count ?? 0) + (name?.utf8.count ?? 0))
            // In place: a copy would share the arguments' storage, and all of them would be copied for each fragment.
            if let id, calls[index, default: Call()].id.isEmpty { calls[index, default: Call()].id = id }
            if let name { calls[index, default: Call()].name += name }
            calls[index, default: Call()].arguments.writeString(arguments)
        case .usage(let usage):
            generationUsage = usage
        case .finish(let reason):
            finish = reason
        }
    }

    private mutating func count(_ bytes: Int) throws(LLMError) {
        byteCount += bytes
        guard byteCount <= maximumBytes else {
            throw LLMError(.invalidResponse, "the model's answer is larger than \(maximumBytes) bytes")
        }
    }

    /// The generation has ended well.
    ///
    /// - Parameters:
    ///   - isUsed: Whether a call id stands in the history.
    ///   - makeID: A fresh call id.
    mutating func conclude(isUsed: (String) -> Bool, makeID: () -> String) -> Conclusion {
        guard let finish else {
            return .commit(failed(LLMError(.invalidResponse, "the model's answer has no end")))
        }
        let asked = normalizedCalls(isUsed: isUsed, makeID: makeID)
        if let error = failure(of: finish, calls: asked) { return .commit(failed(error)) }
        let conclusion = asked.isEmpty ? .commit(textEnding) : conclude(calls: asked)
        guard case .commit(var ending) = conclusion else { return conclusion }
        // A call is whole by itself, whatever a server calls the end.
        ending.finishReason = asked.isEmpty ? finish : .toolCalls
        return .commit(ending)
    }

    /// Why an answer that ended for this reason is not a whole one; nil where it is, or where a client can see that it was cut.
    private func failure(of reason: FinishReason, calls: [ToolCall]) -> LLMError? {
        var error: LLMError
        switch reason {
        case .stop, .toolCalls: return nil
        case .length, .contentFilter:
            // Text says itself where it ends. A call that was cut looks like another call.
            guard let call = calls.first else { return nil }
            error =
                reason == .length
                ? LLMError(.length, "The model's answer was cut off at its greatest length, within its tool calls: \(call.name).")
                : LLMError(.contentFilter, "The model's answer was cut off by a content filter, within its tool calls: \(call.name).")
        case .failure(let word): error = LLMError(.upstream, "The model's server ended the answer with the reason \"\(word)\".")
        case .unknown(let word):
            // Calls that are whole show that nothing was cut.
            if !calls.isEmpty, calls.allSatisfy({ !$0.needsRepair }), hasWholeArguments { return nil }
            error = LLMError(.upstream, "The model's server ended the answer with a reason that is not known: \"\(word)\".")
        }
        error.finishReason = reason
        return error
    }

    private var textEnding: Ending {
        var ending = Ending(status: .completed)
        ending.said = repaired
        let said = generationText
        if said.readableBytes > 0 {
            ending.said.append(ChatMessage.assistant(text: said, calls: []), beside: reasoning(beside: []))
        }
        ending.events = [.text(String(buffer: text), isFinal: true)]
        return ending
    }

    private mutating func conclude(calls asked: [ToolCall]) -> Conclusion {
        if let nameless = asked.first(where: { $0.name.isEmpty }) {
            return .commit(failed(LLMError(.invalidResponse, "the model's tool call \(nameless.id) names no tool")))
        }
        var said = Said()
        said.append(ChatMessage.assistant(text: generationText, calls: asked), beside: reasoning(beside: asked))
        said.messages += asked.compactMap(\.repairMessage)
        let valid = asked.filter { !$0.needsRepair }
        if valid.isEmpty {
            if isRepairing {
                let problem =
                    asked.first?.unknownName == nil ? "with arguments that are not a JSON object" : "which is not the name of a tool"
                var ending = failure(
                    "the model called \(asked.first?.name ?? "a tool") twice, \(problem)", code: "invalid_tool_arguments", retryable: true)
                ending.said = repaired + said
                return .commit(ending)
            }
            isRepairing = true
            repaired = said
            startNextGeneration()
            return .repair(said)
        }
        var ending = Ending(status: .waiting, said: repaired + said, calls: valid)
        if text.readableBytes > 0 { ending.events.append(.text(String(buffer: text), isFinal: false)) }
        for (index, call) in valid.enumerated() {
            ending.events.append(.toolCall(call.issued, isLast: index == valid.count - 1))
        }
        return .commit(ending)
    }

    /// The generation has failed: nothing of it enters the history, so that the step can be retried.
    func failed(_ error: LLMError) -> Ending {
        var ending = Ending(status: .failed, errorCode: error.code.rawValue)
        ending.events = [.failed(StepFailure(error))]
        ending.upstreamCode = error.upstreamCode
        ending.upstreamRequest = error.upstreamRequest
        ending.isRejected = error.code.refusesConversation && text.readableBytes == 0 && !isRepairing
        ending.finishReason = error.finishReason
        return ending
    }

    /// The step ends before its model does. The text so far is an answer like any other; what was not finished beside it is dropped.
    static func cancelled(text: ByteBuffer) -> Ending {
        var ending = Ending(status: .cancelled)
        guard text.readableBytes > 0 else { return ending }
        ending.said.messages = [ChatMessage.assistant(text: text, calls: [])]
        ending.events = [.text(String(buffer: text), isFinal: true)]
        return ending
    }

    func failure(_ message: String, code: String, retryable: Bool) -> Ending {
        var ending = Ending(status: .failed, errorCode: code)
        ending.events = [.failed(StepFailure(message, code: code, isRetryable: retryable))]
        return ending
    }

    private var generationText: ByteBuffer {
        text.getSlice(at: generationStart, length: text.writerIndex - generationStart) ?? ByteBuffer()
    }

    private mutating func startNextGeneration() {
        spent = usage
        generationUsage = nil
        generationStart = text.writerIndex
        calls = [:]
        trace = nil
        finish = nil
    }
}
