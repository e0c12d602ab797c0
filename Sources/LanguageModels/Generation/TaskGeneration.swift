/// A generation that a task makes up, for models within the process.
package struct TaskGeneration: LLMGeneration {
    /// Throws `CancellationError` after ``cancel()``, and any error that the receiver throws.
    package typealias Sink = @Sendable (_ batch: [LLMEvent]) throws -> Void

    private let task: Task<Void, Never>

    /// Starts the task.
    ///
    /// - Parameter body: Passes on all that the model says, the finish included. An error that it
    ///   throws ends the generation.
    package init(for receiver: any LLMReceiver, _ body: @escaping @Sendable (_ sink: Sink) async throws -> Void) {
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

    package func cancel() { task.cancel() }
}
