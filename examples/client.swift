// A client: streams a turn, runs the tools that the model calls, and resumes a stream that breaks off.
//
//     swiftc -parse-as-library -o client examples/client.swift && ./client http://127.0.0.1:8001 session-1 "echo hello"

import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Passes on the bytes of one response as they arrive. The stream ends with the connection, whatever ended it.
final class Bytes: NSObject, URLSessionDataDelegate {
    private let (parts, continuation) = AsyncStream<Data>.makeStream()

    static func of(_ request: URLRequest) -> AsyncStream<Data> {
        let delegate = Bytes()
        let session = URLSession(configuration: .ephemeral, delegate: delegate, delegateQueue: nil)
        session.dataTask(with: request).resume()
        session.finishTasksAndInvalidate()
        return delegate.parts
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) { continuation.yield(data) }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) { continuation.finish() }
}

@main @MainActor struct Client {
    typealias Object = [String: Any]

    /// Prints a text at once: print(_:) would collect it.
    static func show(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

    /// Sends a message until its stream is complete; returns the tool calls and the status.
    static func send(_ message: Object, to server: URL, session: String) async throws -> (calls: [Object], status: String) {
        var request = URLRequest(url: server.appending(path: "agent/message/stream"))
        request.httpMethod = "POST"
        request.httpBody = try JSONSerialization.data(withJSONObject: ["session_id": session, "message": message])
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(UUID().uuidString, forHTTPHeaderField: "Idempotency-Key")  // one key for all attempts: one message
        request.setValue(ProcessInfo.processInfo.environment["AGENT_RUNTIME__INTERNAL_API_KEY"], forHTTPHeaderField: "X-Internal-Auth")
        var calls: [Object] = []
        while true {
            var rest = Data()
            for await part in Bytes.of(request) {
                var lines = (rest + part).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                rest = Data(lines.removeLast())
                for line in lines.map({ String(decoding: $0, as: UTF8.self) }) {
                    if line.hasPrefix("id: ") { request.setValue(String(line.dropFirst(4)), forHTTPHeaderField: "Last-Event-ID") }
                    guard line.hasPrefix("data: ") else { continue }
                    let event = try JSONSerialization.jsonObject(with: Data(line.utf8.dropFirst(6))) as? Object ?? [:]
                    if let status = event["status"] as? String { return (calls, status) }
                    if let code = event["code"] { show("\n[\(code): \(event["error"] ?? "")]\n") }
                    if event["type"] as? String == "tool_call" { calls.append(event) }
                    if event["type"] as? String == "restart" {  // another replica generates the text again
                        calls = []
                        show("\n[restart: \(event["reason"] ?? "")]\n")
                    }
                    show(event["token"] as? String ?? "")
                }
            }
            // An error response is one line of JSON without an end. Only 502 to 504 are worth another attempt.
            let problem = try? JSONSerialization.jsonObject(with: rest) as? Object
            if let status = problem?["status"] as? Int, status < 502 { return ([], "refused: \(String(decoding: rest, as: UTF8.self))") }
            try await Task.sleep(for: .milliseconds(200))  // the connection broke: resume after the last event
        }
    }

    static func main() async throws {
        guard CommandLine.arguments.count == 4, let server = URL(string: CommandLine.arguments[1]) else { exit(64) }
        let session = CommandLine.arguments[2]
        var (calls, status) = try await send(["content": CommandLine.arguments[3]], to: server, session: session)
        while status == "waiting" {
            for call in calls {  // this client has one tool
                var result: Object = ["type": "tool_result", "call_id": call["call_id"] ?? ""]
                let text = (call["arguments"] as? Object)?["text"]
                if call["tool_name"] as? String == "echo", let text { result["result"] = text } else { result["error"] = "no such tool" }
                (calls, status) = try await send(result, to: server, session: session)
            }
        }
        show("\n[\(status)]\n")
        exit(status == "completed" ? 0 : 1)
    }
}
