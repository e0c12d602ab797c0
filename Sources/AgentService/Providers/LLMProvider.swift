public import NIOCore

/// A language model behind some wire format.
///
/// A provider promises four things:
/// - `sink` is called in the order of the model's output, with everything that is ready at the moment of the call and never
///   with an empty batch; the next call comes after the last one returned, so a slow sink slows the upstream down.
/// - It returns after exactly one ``LLMEvent/finish(_:)`` has been delivered, and throws ``LLMError`` otherwise.
/// - Cancelling the task closes the upstream request at once; it then throws `CancellationError`.
/// - An error that `sink` throws ends the generation and is thrown on unchanged.
public protocol LLMProvider: Sendable {
    /// The provider's name in logs and journal lines.
    var name: String { get }

    /// Runs one generation.
    func generate(
        _ request: LLMRequest,
        sink: (_ batch: [LLMEvent]) async throws -> Void
    ) async throws
}

/// What one generation is asked for. JSON travels as text, so that a history goes from Redis to the model without being
/// decoded and encoded again.
public struct LLMRequest: Sendable {
    /// The model's name as the upstream knows it.
    public var model: String
    /// The conversation, oldest first: each element one OpenAI chat message as a JSON object.
    public var messages: [ByteBuffer]
    /// OpenAI tool schemas as one JSON array; nil when there are none.
    public var tools: ByteBuffer?
    /// W3C trace context to pass on (https://www.w3.org/TR/trace-context/).
    public var traceparent: String?

    public init(model: String, messages: [ByteBuffer], tools: ByteBuffer? = nil, traceparent: String? = nil) {
        self.model = model
        self.messages = messages
        self.tools = tools
        self.traceparent = traceparent
    }
}
