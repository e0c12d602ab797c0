import NIOCore
import SessionStore

/// The reasoning that a scripted model sends before its completion.
///
/// Its text and its signature follow from the number of the generation and from the message's
/// position in the conversation. So any process can check, without state, that they came back byte
/// for byte and with the right message.
struct Thought: Sendable, Equatable {
    /// Eight hexadecimal digits, different in each generation.
    let generation: String
    /// The number of messages with tool calls before this one.
    let position: Int

    init(position: Int) {
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        self.init(generation: String(repeating: "0", count: 8 - digits.count) + digits, position: position)
    }

    init(generation: String, position: Int) {
        (self.generation, self.position) = (generation, position)
    }

    /// Reads the generation and the position that a text or a signature claims. The caller compares
    /// the result with the genuine thought.
    init?(claimedBy text: String) {
        let parts = text.prefix { $0 != " " }.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0].utf8.count == 8, let position = Int(parts[1]) else { return nil }
        self.init(generation: String(parts[0]), position: position)
    }

    private var name: String { "\(generation).\(position)" }
    private var proof: String { Digest.short(ByteBuffer(string: name)) }

    /// The text, in deltas. It holds characters that are easily damaged on their way through JSON:
    /// quotation marks, a backslash, line breaks, other alphabets, an emoji.
    var pieces: [String] {
        [name, " The user", " said \"this\"", " or “that”,\n\n", "a\\b\tc, 思考 and 🤔; ", "no </think> here. ", proof]
    }

    var text: String { pieces.joined() }
    var signature: String { "\(name).\(proof)+/==" }
}
