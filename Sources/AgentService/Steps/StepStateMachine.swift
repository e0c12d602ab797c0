import LanguageModels
import NIOCore
import SessionStore

/// The decisions of one step: collects the model's events and decides what is emitted, stored and
/// asked next.
///
/// A value without effects: it knows no socket, no clock and no Redis.
struct StepStateMachine: Sendable {
    /// What the end of a generation leads to.
    enum Conclusion {
        case commit(Ending)
        /// The model is asked once more, with these messages behind the history: none of its calls
        /// had usable arguments.
        case repair(Said)
    }

    /// Messages for the history, and the model's reasoning beside them.
    struct Said {
        var messages: [ByteBuffer] = []
        /// Each entry with the index of its message.
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

        /// Returns the reasoning in its stored form.
        func stored(by author: @autoclosure () -> String) -> [StoredReasoning] {
            guard !reasoning.isEmpty else { return [] }
            let author = author()
            return reasoning.map { StoredReasoning(message: $0.message, json: $0.entry.json(by: author)) }
        }
    }

    /// What the end of a step writes and emits.
    struct Ending {
        var status: StepStatus
        var said = Said()
        var calls: [ToolCall] = []
        /// The events before ``TurnEvent/finished(_:)``.
        var events: [TurnEvent] = []
        var errorCode: String?
        /// The code that the model's server gave the error, and its name for the request.
        var upstreamCode: String?
        var upstreamRequest: String?
        /// Why the model stopped; nil where that is not known.
        var finishReason: FinishReason?
        /// The model's server refused the request before the model wrote any text.
        var isRejected = false
    }

    struct Call {
        var id = ""
        var name = ""
        var arguments = ByteBuffer()
    }

    private let maximumBytes: Int
    private let maximumCalls: Int

    /// The text that was emitted to the client, over all generations of the step.
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

    /// Whether the model has counted its tokens.
    var hasUsage: Bool { generationUsage != nil || spent != TokenUsage() }

    /// The tokens that the step has cost so far, as far as the model has counted them.
    var usage: TokenUsage {
        spent + (generationUsage ?? TokenUsage())
    }

    /// Takes in one event. Deltas are emitted as they come; nothing else is emitted before the end.
    mutating func receive(_ event: LLMEvent) throws(LLMError) {
        switch event {
        case .textDelta(let token):
            try count(token.utf8.count)
            text.writeString(token)
        case .reasoningDelta(let text):
            // Emitted as it is. The stored form comes with the trace, which the provider bounds.
            try count(text.utf8.count)
        case .reasoning(let trace):
            self.trace = trace
        case .toolCall(let index, let id, let name, let arguments):
            guard index >= 0, calls[index] != nil || calls.count < maximumCalls else {
                throw LLMError(.invalidResponse, "the model asked for more than \(maximumCalls) tool calls at once")
            }
            try count(arguments.utf8.count + (id?.utf8.count ?? 0) + (name?.utf8.count ?? 0))
            // In place: a copy would share the storage, and each fragment would copy all arguments
            // before it.
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

    /// Decides what a generation leads to that the model has finished.
    ///
    /// - Parameters:
    ///   - isUsed: Returns whether the history has a call id.
    ///   - makeID: Returns a fresh call id.
    mutating func conclude(isUsed: (String) -> Bool, makeID: () -> String) -> Conclusion {
        guard let finish else {
            return .commit(failed(LLMError(.invalidResponse, "the model's answer has no end")))
        }
        let asked = normalizedCalls(isUsed: isUsed, makeID: makeID)
        if let error = failure(of: finish, calls: asked) { return .commit(failed(error)) }
        let conclusion = asked.isEmpty ? .commit(textEnding) : conclude(calls: asked)
        guard case .commit(var ending) = conclusion else { return conclusion }
        // A call is whole on its own, whatever reason a server gives.
        ending.finishReason = asked.isEmpty ? finish : .toolCalls
        return .commit(ending)
    }

    /// Returns why a completion that ended for this reason is not whole; nil if it is, or if a
    /// client can see that it was cut.
    private func failure(of reason: FinishReason, calls: [ToolCall]) -> LLMError? {
        var error: LLMError
        switch reason {
        case .stop, .toolCalls: return nil
        case .length, .contentFilter:
            // A reader sees where text was cut. A call that was cut looks like another call.
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

    /// Returns the ending of a failed generation. No part of it enters the history, so that the
    /// step can be retried.
    func failed(_ error: LLMError) -> Ending {
        var ending = Ending(status: .failed, errorCode: error.code.rawValue)
        ending.events = [.failed(StepFailure(error))]
        ending.upstreamCode = error.upstreamCode
        ending.upstreamRequest = error.upstreamRequest
        ending.isRejected = error.code.refusesConversation && text.readableBytes == 0 && !isRepairing
        ending.finishReason = error.finishReason
        return ending
    }

    /// Returns the ending of a step that ends before its model does. The text so far is a
    /// completion like any other; calls and reasoning are dropped.
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
