import Logging

extension StepScheduler {
    /// What follows a job in its slot. The scheduler performs it exactly once.
    enum NextAction: ~Copyable, Sendable {
        /// Nothing follows. The epilogue runs once the slot is free.
        case end(Epilogue? = nil)
        /// Another job follows in the same slot, but in a task of its own: a task keeps the memory
        /// of its deepest call until it ends.
        case job(@Sendable () async -> NextAction)
        /// The slot stays reserved without a task until the suspension is resumed.
        case suspend(@Sendable (consuming Suspension) -> Void)
    }

    /// The work that is left once a job's slot is free. It runs exactly once, at the latest when it
    /// is dropped.
    struct Epilogue: ~Copyable, Sendable {
        private var body: (@Sendable () -> Void)?

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }

        deinit {
            body?()
        }

        consuming func run() {
            body.take()?()
        }
    }

    /// A slot that is reserved without a task. It is resumed exactly once.
    ///
    /// The compiler rejects a second resumption, since resuming consumes the value. A suspension
    /// that is dropped releases the slot, so that a stop does not wait for it, and logs the defect.
    struct Suspension: ~Copyable, Sendable {
        /// Nil once the slot was resumed.
        private var scheduler: StepScheduler?
        private let queue: Queue

        init(_ scheduler: StepScheduler, _ queue: Queue) {
            (self.scheduler, self.queue) = (scheduler, queue)
        }

        deinit {
            guard let scheduler else { return }
            scheduler.logger.error("a suspended step was never resumed", metadata: ["code": "internal_error"])
            scheduler.perform(.end(), in: queue)
        }

        consuming func resume(with next: consuming NextAction) {
            scheduler.take()?.perform(next, in: queue)
        }
    }
}
