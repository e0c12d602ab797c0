import Hummingbird

/// Has each request handled in a task of its own, a child of the connection's.
///
/// A task keeps the memory of its deepest call until it ends, and a connection's task lasts as long as the stream that it writes. What the middleware and the
/// route need on the way to an answer, some ten KiB, goes with the child.
struct OwnTask<Base: HTTPResponder>: HTTPResponder where Base.Context: Sendable {
    let base: Base

    func respond(to request: Request, context: Base.Context) async throws -> Response {
        async let response = base.respond(to: request, context: context)
        return try await response
    }
}
