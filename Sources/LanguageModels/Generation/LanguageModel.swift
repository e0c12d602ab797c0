/// A language model behind some wire format, or within the process.
public protocol LanguageModel: Sendable {
    /// Starts one generation. The receiver may get events before this returns, on any thread.
    func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration
}

/// Gets what a model says. The thread that reads the model's socket calls it, and cannot read on
/// meanwhile.
///
/// A model promises four things:
/// - One call at a time: ``receive(_:)`` in the order of the model's output, with all events that
///   are ready and never with an empty batch, then ``end(_:)`` once, and nothing after it.
/// - A generation that succeeds has delivered exactly one ``LLMEvent/finish(_:)``. Otherwise it
///   ends with ``LLMError``, with `CancellationError` after ``LLMGeneration/cancel()``, or with the
///   error that ``receive(_:)`` has thrown.
/// - It releases the receiver at the end.
/// - It releases the request, and ``LLMRequest/share`` with it, as soon as the model has begun to
///   write, or has refused.
public protocol LLMReceiver: AnyObject, Sendable {
    /// Takes events. An error ends the generation and comes back through ``end(_:)`` unchanged.
    func receive(_ batch: [LLMEvent]) throws
    /// Takes the end.
    func end(_ result: Result<Void, any Error>)
}

/// A generation that is under way.
public protocol LLMGeneration: Sendable {
    /// Ends it, and closes the connection to the model's server at once. From any thread; does
    /// nothing after the end.
    func cancel()
}
