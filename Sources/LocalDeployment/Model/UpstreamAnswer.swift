public import NIOCore

/// The response of a model server: a status, headers, and the parts of its body.
public struct UpstreamAnswer: Sendable {
    public enum Part: Sendable {
        /// Bytes that the server writes and flushes on their own.
        case bytes(ByteBuffer)
        case gate(Gate)
        case pause(Duration)
        /// The server closes the connection in the middle of the body.
        case hangUp
        /// The server sends nothing more, and the connection stays open until the client closes it.
        case silence
    }

    public var status = 200
    public var contentType = "text/event-stream"
    public var headers: [(String, String)] = []
    public var parts: [Part] = []

    public init(status: Int = 200, contentType: String = "text/event-stream", parts: [Part] = []) {
        self.status = status
        self.contentType = contentType
        self.parts = parts
    }

    /// Returns a streamed response with text.
    public static func text(_ tokens: String..., finish: String = "stop") -> UpstreamAnswer { text(tokens, finish: finish) }

    public static func text(_ tokens: [String], finish: String = "stop", usage: (prompt: Int, completion: Int)? = (9, 12)) -> UpstreamAnswer
    {
        var answer = UpstreamAnswer()
        answer.add(delta: ["role": "assistant", "content": ""])
        for token in tokens { answer.add(delta: ["content": .string(token)]) }
        answer.end(finish: finish, usage: usage)
        return answer
    }

    /// Returns a streamed response with tool calls. Each call's arguments come in the given
    /// fragments; the fragments of the calls are interleaved.
    public static func calls(_ calls: (id: String, name: String, arguments: [String])..., text: [String] = []) -> UpstreamAnswer {
        var answer = UpstreamAnswer()
        answer.add(delta: ["role": "assistant", "content": nil])
        for token in text { answer.add(delta: ["content": .string(token)]) }
        for (index, call) in calls.enumerated() {
            answer.add(delta: [
                "tool_calls": [
                    [
                        "index": .number(Double(index)), "id": .string(call.id), "type": "function",
                        "function": ["name": .string(call.name), "arguments": ""],
                    ]
                ]
            ])
        }
        for round in 0..<(calls.map(\.arguments.count).max() ?? 0) {
            for (index, call) in calls.enumerated() where round < call.arguments.count {
                answer.add(delta: [
                    "tool_calls": [["index": .number(Double(index)), "function": ["arguments": .string(call.arguments[round])]]]
                ])
            }
        }
        answer.end(finish: "tool_calls", usage: (20, 8))
        return answer
    }

    /// Returns a response that is one JSON object, as for `"stream": false`.
    public static func whole(_ message: JSON, finish: String = "stop") -> UpstreamAnswer {
        let body: JSON = [
            "id": "chatcmpl-1", "object": "chat.completion", "model": "test",
            "choices": [["index": 0, "message": message, "finish_reason": .string(finish)]],
            "usage": ["prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21],
        ]
        return UpstreamAnswer(contentType: "application/json", parts: [.bytes(ByteBuffer(string: body.text))])
    }

    public static func error(_ status: Int, _ message: String) -> UpstreamAnswer {
        let body: JSON = ["error": ["message": .string(message), "type": "error", "code": nil]]
        return UpstreamAnswer(status: status, contentType: "application/json", parts: [.bytes(ByteBuffer(string: body.text))])
    }

    // MARK: Building by hand

    public mutating func add(delta: JSON, finish: String? = nil) {
        let chunk: JSON = [
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "test",
            "choices": [["index": 0, "delta": delta, "finish_reason": finish.map { .string($0) } ?? .null]],
        ]
        add(event: chunk.text)
    }

    public mutating func add(event data: String) {
        parts.append(.bytes(ByteBuffer(string: "data: \(data)\n\n")))
    }

    public mutating func end(finish: String, usage: (prompt: Int, completion: Int)? = (9, 12)) {
        add(delta: [:], finish: finish)
        if let usage {
            let sum = usage.prompt + usage.completion
            let chunk: JSON = [
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [],
                "usage": [
                    "prompt_tokens": .number(Double(usage.prompt)), "completion_tokens": .number(Double(usage.completion)),
                    "total_tokens": .number(Double(sum)),
                ],
            ]
            add(event: chunk.text)
        }
        add(event: "[DONE]")
    }

    /// Returns a copy with `part` after the first `count` parts.
    public func inserting(_ part: Part, after count: Int) -> UpstreamAnswer {
        var copy = self
        copy.parts.insert(part, at: min(count, parts.count))
        return copy
    }

    /// Returns a copy whose bytes come in pieces of at most `length` bytes.
    public func split(every length: Int) -> UpstreamAnswer {
        var whole = ByteBuffer()
        for case .bytes(let bytes) in parts { whole.writeImmutableBuffer(bytes) }
        var copy = self
        copy.parts = []
        while let piece = whole.readSlice(length: min(length, whole.readableBytes)), piece.readableBytes > 0 {
            copy.parts.append(.bytes(piece))
        }
        return copy
    }
}
