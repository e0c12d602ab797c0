import Logging

/// The result that one suspended caller waits for. It is given exactly once.
///
/// The compiler rejects a second result, since giving one consumes the value. A value that is
/// dropped without a result fails the caller with ``TurnError/lostResult``, and logs the defect.
struct PendingResult<Value: Sendable>: ~Copyable, Sendable {
    typealias Continuation = CheckedContinuation<Result<Value, TurnError>, Never>

    /// Nil once the result was given or decided.
    private var continuation: Continuation?
    private let logger: Logger

    init(_ continuation: Continuation, logger: Logger) {
        self.continuation = continuation
        self.logger = logger
    }

    deinit {
        guard let continuation else { return }
        logger.error("a request was left without a result", metadata: ["code": "internal_error"])
        continuation.resume(returning: .failure(.lostResult))
    }

    consuming func succeed(_ value: Value) {
        continuation.take()?.resume(returning: .success(value))
    }

    consuming func fail(_ error: TurnError) {
        continuation.take()?.resume(returning: .failure(error))
    }

    /// Decides the result now. The scheduler gives it once the job's slot is free, so that a caller
    /// that tries again finds room.
    ///
    /// - Parameter afterwards: Runs after the caller was resumed.
    consuming func decided(
        _ result: Result<Value, TurnError>, afterwards: (@Sendable () -> Void)? = nil
    ) -> StepScheduler.Epilogue {
        let continuation = continuation.take()
        return StepScheduler.Epilogue {
            continuation?.resume(returning: result)
            afterwards?()
        }
    }
}
