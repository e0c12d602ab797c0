import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// A stream read to its end, for clients that want one answer.
package struct WholeAnswer: Sendable {
    /// The final text.
    package private(set) var content = ""
    package private(set) var error: (code: String, message: String)?

    /// The stream ended, and the step goes on.
    private static let elsewhere = (
        code: "outcome_unknown", message: "the message was accepted; the session's history has the answer later"
    )

    /// The answer was cut off by a cancel: somebody's, or that of a message that interrupts.
    package private(set) var isCancelled = false
    /// Whether the answer is yet to come.
    package var isUnknown: Bool { error?.code == Self.elsewhere.code }

    package init(reading stream: ClientStream) async {
        var parser = SSEParser(maxEventBytes: .max)
        var isDone = false
        do {
            while let bytes = await stream.next() {
                parser.append(bytes)
                while let event = try parser.next() {
                    isDone = isDone || event.name == "done"
                    try take(event)
                }
            }
            // The step goes on without this replica, or this client.
            if !isDone, error == nil { error = Self.elsewhere }
        } catch {
            self.error = ("internal_error", "the answer could not be read")
        }
    }

    private mutating func take(_ event: SSEEvent) throws(JSONError) {
        let chunk = try JSONSlice(parsing: event.data)
        switch (event.name, chunk["type"]?.string) {
        case ("message", "assistant_message"):
            if let content = chunk["content"]?.string { self.content = content }
        case ("message", "tool_call"):
            // It was offered no tools, and whoever wants one answer cannot answer a call.
            error = ("llm_invalid_response", "the model asked for a tool that it was not offered")
        case ("done", _):
            isCancelled = chunk["status"]?.string == StepStatus.cancelled.rawValue
        case ("error", _):
            error = (chunk["code"]?.string ?? "internal_error", chunk["error"]?.string ?? "the answer failed")
        default:
            break
        }
    }
}
