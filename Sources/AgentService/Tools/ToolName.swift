/// The names of tools that models' servers accept: 1–64 of `A-Z a-z 0-9 _ -` (OpenAI API reference,
/// `messages[].tool_calls[].function.name`).
///
/// Models invent other names, such as `multi_tool_use.parallel`. With such a name in the history, a
/// server would refuse every later request.
enum ToolName {
    static let maximumLength = 64

    static func isAccepted(_ name: String) -> Bool {
        (1...maximumLength).contains(name.utf8.count) && name.utf8.allSatisfy(isAccepted)
    }

    /// Returns the name with `_` for each byte that is not accepted, cut to the greatest length.
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
