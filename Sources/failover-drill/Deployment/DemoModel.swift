import LocalDeployment

/// The model of `--model`. It calls the tools that a message names, in lines such as `read_file
/// notes.txt` and `echo hello`, and quotes their results.
enum DemoModel {
    static func start(as personality: Personality, port: Int) async throws -> Upstream {
        try await Upstream.start(as: personality, port: port, keepsRequests: false) { request in
            personality.answer(completion(for: request), to: request)
        }
    }

    static func completion(for request: UpstreamRequest) -> ScriptedCompletion {
        let turn = request.messages[(request.messages.lastIndex { $0["role"] == "user" } ?? request.messages.startIndex)...]
        let results = turn.filter { $0["role"] == "tool" }
        var completion = ScriptedCompletion()
        completion.pace = .milliseconds(15)
        if results.isEmpty { completion.calls = calls(in: turn.first?["content"].string ?? "") }
        if completion.calls.isEmpty {
            let said = results.compactMap { $0["content"].string }.joined(separator: "; ")
            completion.text = words(results.isEmpty ? "You named no tool." : "The tools returned: \(said)")
        }
        return completion
    }

    private static func calls(in message: String) -> [ScriptedCompletion.Call] {
        message.split(whereSeparator: \.isNewline).compactMap { line in
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return nil }
            switch parts[0] {
            case "read_file": return .init("read_file", JSON.object(["path": .string(parts[1])]).text)
            case "echo": return .init("echo", JSON.object(["text": .string(parts[1])]).text)
            default: return nil
            }
        }
    }

    /// Splits a text into words, each with the space after it.
    private static func words(_ text: String) -> [String] {
        let words = text.split(separator: " ").map(String.init)
        return words.dropLast().map { $0 + " " } + words.suffix(1)
    }
}
