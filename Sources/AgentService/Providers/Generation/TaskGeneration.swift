/// A generation that a task makes up, for models within the process.
struct TaskGeneration: LLMGeneration {
    /// Throws `CancellationError` after ``cancel()``, and whatever the receiver throws.
    typealias Sink = @Sendable (_ batch: [LLMEvent]) throws -> Void

    private let task: Task<Void, Never>

    /// - Parameter body: Says all that the model says, the finish included. What it throws ends the generation.
    init(for receiver: any LLMReceiver, _ body: @escaping @Sendable (_ sink: Sink) async throws -> Void) {
        task = Task {
            do {
                try await body { batch in
                    try Task.checkCancellation()
                    try receiver.receive(batch)
                }
                receiver.end(.success(()))
            } catch {
                receiver.end(.failure(error))
            }
        }
    }

    func cancel() { task.cancel() }
}
