public import NIOCore

/// A language model behind some wire format.
public protocol LLMProvider: Sendable {
    /// The provider's name in logs and journal lines.
    var name: String { get }

    /// Starts one generation. The receiver may hear of it before this returns, on any thread.
    func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration
}

/// Who is told what a model says. It is called by whoever reads the model's socket, and holds that up meanwhile.
///
/// A provider promises four things:
/// - One call at a time: ``receive(_:)`` in the order of the model's output, with everything that is ready and never with an empty batch, then
///   ``end(_:)`` once, and nothing after it.
/// - A generation that succeeds has delivered exactly one ``LLMEvent/finish(_:)``. Otherwise it ends with ``LLMError``, with `CancellationError`
///   after ``LLMGeneration/cancel()``, or with what ``receive(_:)`` has thrown.
/// - It lets go of the receiver at the end.
/// - It lets go of the request, and of `LLMRequest.share` with it, as soon as the model has begun to answer, or has refused it.
public protocol LLMReceiver: AnyObject, Sendable {
    /// An error ends the generation and is given to ``end(_:)`` unchanged.
    func receive(_ batch: [LLMEvent]) throws
    func end(_ result: Result<Void, any Error>)
}

/// A generation that is under way.
public protocol LLMGeneration: Sendable {
    /// Ends it, and closes the upstream's connection at once. From any thread; does nothing after the end.
    func cancel()
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
    /// What models said beside earlier answers, as it is stored: each element one JSON object, with the index of its message.
    public var reasoning: [ByteBuffer] = []
    /// W3C trace context to pass on (https://www.w3.org/TR/trace-context/).
    public var traceparent: String?
    /// Counts ``messages``, and what they are written into, among what this replica holds.
    package var share: ByteShare?

    /// Whom the reasoning in this request's answer, and what was said before and goes back, is by. `default` is the one configured provider.
    var author: String { Self.author(model: model) }
    static func author(model: String) -> String { "default/\(model)" }

    public init(model: String, messages: [ByteBuffer], tools: ByteBuffer? = nil, traceparent: String? = nil) {
        self.model = model
        self.messages = messages
        self.tools = tools
        self.traceparent = traceparent
    }
}
