import AgentService
import Hummingbird

/// Handles each request in a task of its own.
///
/// A task keeps the memory of its deepest call until it ends, and a connection's task lasts as long
/// as the stream that it writes. The memory that middleware and routes need before the response,
/// about ten KiB, is freed with the other task. (The stack of a child task, `async let`, would be
/// part of the connection's.)
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
