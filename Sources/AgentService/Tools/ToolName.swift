/// The names of tools that model servers accept, in requests and in the calls of earlier messages: 1–64 of `A-Z a-z 0-9 _ -`
/// (OpenAI API reference, `messages[].tool_calls[].function.name`).
///
/// Models invent others, `multi_tool_use.parallel` for example. In a history such a name would have every later request refused.
enum ToolName {
    static let maximumLength = 64

    static func isAccepted(_ name: String) -> Bool {
        (1...maximumLength).contains(name.utf8.count) && name.utf8.allSatisfy(isAccepted)
    }

    /// The same name with `_` for each byte that is not accepted, cut where it is too long.
    static func cleaned(_ name: String) -> String {
        String(decoding: name.utf8.prefix(maximumLength).map { isAccepted($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
    }

    static func isAccepted(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
