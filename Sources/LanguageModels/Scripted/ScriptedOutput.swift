import JSONText

/// The text and the calls of the scripted model.
struct ScriptedOutput {
    struct Call {
        var name: String
        /// A JSON object.
        var arguments: String
    }

    /// Together the text; each word ends with the space before the next.
    private(set) var words: [String] = []
    private(set) var calls: [Call] = []

    init(of conversation: ScriptedConversation) {
        guard conversation.results.isEmpty else {
            say(conversation.results.map { "The result of \($0.tool): \(Self.excerpt($0.text))" }.joined(separator: "\n"))
            return
        }
        var other: [Substring] = []
        var sentences: [String] = []
        var slow = 0
        for line in conversation.question.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: " ", maxSplits: 1)
            let command = parts.first.map(String.init) ?? ""
            let rest = parts.count > 1 ? String(parts[1]) : ""
            switch command {
            case "read_file" where !rest.isEmpty, "echo" where !rest.isEmpty:
                if conversation.tools.contains(command) {
                    let key = command == "echo" ? "text" : "path"
                    calls.append(Call(name: command, arguments: "{\"\(key)\":\(CheckedJSON(string: rest).text)}"))
                } else {
                    sentences.append("I have no tool named \(command).")
                }
            case "slow":
                if let count = Int(rest), count > 0 {
                    slow = min(slow + min(count, ScriptedModel.maxSlowWords), ScriptedModel.maxSlowWords)
                } else {
                    other.append(line)
                }
            default: other.append(line)
            }
        }
        if !other.isEmpty { sentences.insert("You said: \(Self.excerpt(other.joined(separator: "\n")))", at: 0) }
        if sentences.isEmpty, calls.isEmpty, slow == 0 { sentences.append("You said nothing.") }
        say(sentences.joined(separator: "\n"))
        if slow > 0 {
            if !words.isEmpty { words.append("\n") }
            words += (1...slow).map { $0 == slow ? "\($0)" : "\($0) " }
        }
    }

    private mutating func say(_ text: String) {
        var word = ""
        for character in text {
            word.append(character)
            if character.isWhitespace {
                words.append(word)
                word = ""
            }
        }
        if !word.isEmpty { words.append(word) }
    }

    private static func excerpt(_ text: String) -> String {
        text.count > ScriptedModel.maxExcerpt ? text.prefix(ScriptedModel.maxExcerpt) + "…" : text
    }
}
