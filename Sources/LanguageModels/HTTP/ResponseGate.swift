import NIOHTTP1

/// Decides which parts of a connection's responses may go on to the HTTP client.
///
/// The HTTP client expects that responses come in order, with statuses from 200, and ends the
/// process if they do not. It also takes each status below 200 for an informational one, which
/// NIO's decoder does not: the body behind `HTTP/1.1 099` has no head then. So each part is judged
/// here before the HTTP client sees it.
struct ResponseGate: Sendable {
    enum Verdict: Sendable {
        case pass
        /// The part is ignored, and the connection goes on.
        case drop
        /// The connection must end. All later parts are dropped.
        case refuse(LLMError)
    }

    private enum State {
        case idle, awaited, open, shut
    }

    private var state = State.idle

    /// Notes that a request's head is on its way: one response may come.
    mutating func requestBegan() {
        if state == .idle { state = .awaited }
    }

    /// Drops all later parts.
    mutating func shut() {
        state = .shut
    }

    mutating func judge(_ part: HTTPClientResponsePart) -> Verdict {
        switch (state, part) {
        case (.shut, _):
            return .drop
        case (.awaited, .head(let head)):
            switch head.status.code {
            case 200...599:
                state = .open
                return .pass
            // The response is still to come. A change of protocols (101) would be one, but the
            // request asked for none.
            case 100, 102...199:
                return .drop
            case let code:
                return refuse("The model's server answered with the status \(code), which is none.", status: Int(code))
            }
        case (.open, .body):
            return .pass
        case (.open, .end):
            state = .idle
            return .pass
        case (.open, .head):
            return refuse("The model's server began an answer within another.")
        case (.idle, _), (.awaited, .body), (.awaited, .end):
            return refuse("The model's server sent what is part of no answer.")
        }
    }

    private mutating func refuse(_ message: String, status: Int? = nil) -> Verdict {
        state = .shut
        return .refuse(LLMError(.invalidResponse, message, status: status))
    }
}
