public import NIOCore

/// What one generation is asked for. JSON travels as text, so that a history goes from Redis to the
/// model without being decoded and encoded again.
public struct LLMRequest: Sendable {
    /// The model's name as its server knows it.
    public var model: String
    /// The server's name in the ``ModelCatalog``.
    public var provider: String
    /// The conversation, oldest first: each element is a `ChatMessage`.
    public let messages: [ByteBuffer]
    /// OpenAI tool schemas as one JSON array; nil when there are none.
    public var tools: ByteBuffer?
    /// What models said beside earlier completions, as it is stored: each element is one JSON
    /// object with the index of its message.
    public var reasoning: [ByteBuffer] = []
    /// W3C trace context to pass on (https://www.w3.org/TR/trace-context/).
    public var traceparent: String?
    /// Counts the request among what this replica holds in memory.
    public var share: (any HeldBytes)?

    private let messageBytes: Int

    /// Makes a request. The parameters are the properties of the same names.
    public init(
        model: String, provider: String = ModelCatalog.onlyProvider, messages: [ByteBuffer], tools: ByteBuffer? = nil,
        traceparent: String? = nil
    ) {
        self.model = model
        self.provider = provider
        self.messages = messages
        messageBytes = messages.reduce(0) { $0 + $1.readableBytes }
        self.tools = tools
        self.traceparent = traceparent
    }

    /// Bytes of ``messages`` and of ``reasoning``.
    var byteCount: Int { messageBytes + reasoning.reduce(0) { $0 + $1.readableBytes } }

    /// The name under which the model's reasoning is stored: only this model gets it back.
    var author: String { ModelCatalog.author(provider: provider, model: model) }
}

/// Counts the bytes of a request while it is held: its messages, then what they are written into.
/// The count ends when the last reference is released.
public protocol HeldBytes: AnyObject, Sendable {
    /// Counts as many bytes from now on.
    func resize(to bytes: Int)
}
