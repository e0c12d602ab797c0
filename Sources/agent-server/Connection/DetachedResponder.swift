import AgentService
import Hummingbird

/// Has each request handled in a task of its own.
///
/// A task keeps the memory of its deepest call until it ends, and a connection's task lasts as long as the stream that it writes. What the middleware and the
/// route need on the way to an answer, some ten KiB, goes with the other task. (A child task, `async let`, would have its stack in the connection's.)
struct DetachedResponder: HTTPResponder {
    typealias Context = AgentRequestContext

    let base: any HTTPResponder<Context>
    let executors: EventLoopExecutors

    func respond(to request: Request, context: Context) async throws -> Response {
        let task = Task(executorPreference: executors[context.channel.eventLoop]) {
            try await base.respond(to: request, context: context)
        }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}
