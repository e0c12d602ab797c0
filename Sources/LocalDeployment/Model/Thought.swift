import NIOCore
import SessionStore

/// What a scripted model thinks before it answers.
///
/// Its text and its signature follow from a number of the generation and from the place of the message in the conversation. Any
/// process can therefore check, without a memory, that they came back byte for byte and with the message that they belong to.
struct Thought: Sendable, Equatable {
    /// Eight hexadecimal digits, different in each generation.
    let generation: String
    /// How many messages with tool calls stand before this one.
    let position: Int

    init(position: Int) {
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        self.init(generation: String(repeating: "0", count: 8 - digits.count) + digits, position: position)
    }

    init(generation: String, position: Int) {
        (self.generation, self.position) = (generation, position)
    }

    /// Reads which thought a text or a signature claims to be. The caller compares it with the genuine one.
    init?(claimedBy text: String) {
        let parts = text.prefix { $0 != " " }.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0].utf8.count == 8, let position = Int(parts[1]) else { return nil }
        self.init(generation: String(parts[0]), position: position)
    }

    private var name: String { "\(generation).\(position)" }
    private var proof: String { Digest.short(ByteBuffer(string: name)) }

    /// Holds what is easily damaged on its way through JSON: quotation marks, a backslash, line breaks, other alphabets, an emoji.
    var pieces: [String] {
        [name, " The user", " said \"this\"", " or “that”,\n\n", "a\\b\tc, 思考 and 🤔; ", "no </think> here. ", proof]
    }

    var text: String { pieces.joined() }
    var signature: String { "\(name).\(proof)+/==" }
}
