import NIOCore

@testable import LanguageModels

/// The events that a decoder emitted, and the error that ended it.
struct Decoded: Equatable {
    var events: [LLMEvent] = []
    var error: LLMError.Code?
    var message = ""
    /// The error's finish reason.
    var reason: FinishReason?

    /// The text of all deltas.
    var text: String {
        events.map { if case .textDelta(let token) = $0 { token } else { "" } }.joined()
    }

    /// The calls, each with its fragments joined.
    var calls: [Call] {
        var calls: [Int: Call] = [:]
        for case .toolCall(let index, let id, let name, let arguments) in events {
            var call = calls[index] ?? Call(id: nil, name: nil, arguments: "")
            call.id = call.id ?? id
            if let name { call.name = (call.name ?? "") + name }
            call.arguments += arguments
            calls[index] = call
        }
        return calls.sorted { $0.key < $1.key }.map(\.value)
    }

    struct Call: Equatable {
        var id: String?
        var name: String?
        var arguments: String

        init(id: String?, name: String?, arguments: String) {
            self.id = id
            self.name = name
            self.arguments = arguments
        }

        init(_ id: String?, _ name: String?, _ arguments: String) {
            self.init(id: id, name: name, arguments: arguments)
        }
    }

    init() {}

    /// Decodes chunks and their end.
    init(chunks: [String], isMarked: Bool = true) {
        var decoder = ChatCompletionChunkDecoder()
        run { events throws(LLMError) in
            for chunk in chunks { try decoder.decode(ByteBuffer(string: chunk), into: &events) }
            try decoder.finish(isMarked: isMarked, into: &events)
        }
    }

    /// Decodes a body that arrives in parts.
    ///
    /// - Parameter isLost: Whether the connection is lost after the parts.
    init(
        parts: [ByteBuffer], contentType: String? = "text/event-stream", status: Int = 200, expectsStream: Bool = true,
        maxBytes: Int = 1 << 20, isLost: Bool = false
    ) {
        var answer = ChatCompletionDecoder(
            expectsStream: expectsStream, limits: ResponseLimits(bodyBytes: maxBytes, errorBytes: 8 << 10))
        run { events throws(LLMError) in
            try answer.receiveHead(status: status, contentType: contentType)
            for part in parts where try answer.receiveBody(part, into: &events) == .finished { return }
            guard isLost else { return try answer.receiveEnd(into: &events) }
            guard answer.receiveLoss(into: &events) else { throw LLMError(.unavailable, "lost") }
        }
    }

    private mutating func run(_ body: (inout [LLMEvent]) throws(LLMError) -> Void) {
        do throws(LLMError) {
            try body(&events)
        } catch let failure {
            error = failure.code
            message = failure.message
            reason = failure.finishReason
        }
    }

    /// A chunk with one delta.
    static func delta(_ delta: String, finish: String? = nil) -> String {
        #"{"choices":[{"index":0,"delta":\#(delta),"finish_reason":\#(finish.map { "\"\($0)\"" } ?? "null")}]}"#
    }

    /// A chunk with entries of `tool_calls`.
    static func calls(_ entries: String...) -> String { delta(#"{"tool_calls":[\#(entries.joined(separator: ","))]}"#) }
}
