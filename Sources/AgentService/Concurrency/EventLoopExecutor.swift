import Locks
public import NIOCore

/// Runs tasks on an event loop's thread (SE-0417), so that a request's tasks and its sockets take
/// turns on one thread instead of waking each other across two.
///
/// Jobs that are enqueued while others run wait in the same queue: one `execute` for all of them. A
/// task that computes for long delays the loop's sockets.
public final class EventLoopExecutor: TaskExecutor {
    private struct Queue {
        var jobs: [UnownedJob] = []
        /// Whether the loop was asked to run them.
        var isScheduled = false
    }

    /// The event loop that runs the jobs.
    public let eventLoop: any EventLoop
    private let queue = Guarded(Queue())

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Runs the job on the event loop.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wakes = queue.withLock { queue in
            queue.jobs.append(job)
            defer { queue.isScheduled = true }
            return !queue.isScheduled
        }
        if wakes { eventLoop.execute { self.runJobs() } }
    }

    /// Runs the enqueued jobs. Jobs that are enqueued meanwhile run after the sockets had their
    /// turn.
    private func runJobs() {
        var jobs = queue.withLock { queue in
            defer {
                queue.jobs = []
                queue.isScheduled = false
            }
            return queue.jobs
        }
        let executor = asUnownedTaskExecutor()
        for job in jobs { job.runSynchronously(on: executor) }
        jobs.removeAll(keepingCapacity: true)
        // The array is used again, so that a busy loop allocates none.
        queue.withLock { queue in
            if queue.jobs.isEmpty { swap(&queue.jobs, &jobs) }
        }
    }
}

/// The executors of an event loop group's loops.
public struct EventLoopExecutors: Sendable {
    let all: [EventLoopExecutor]
    private let byLoop: [ObjectIdentifier: EventLoopExecutor]

    /// Makes one executor for each event loop of the group.
    public init(_ group: any EventLoopGroup) {
        let all = group.makeIterator().map { EventLoopExecutor($0) }
        self.all = all
        byLoop = Dictionary(all.map { (ObjectIdentifier($0.eventLoop), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Returns the executor of `eventLoop`; nil for a loop of another group.
    public subscript(eventLoop: any EventLoop) -> EventLoopExecutor? {
        byLoop[ObjectIdentifier(eventLoop)]
    }

    /// The index in ``all`` of the loop that the caller runs on; nil for a caller on none of them.
    var currentIndex: Int? { all.firstIndex { $0.eventLoop.inEventLoop } }
}
