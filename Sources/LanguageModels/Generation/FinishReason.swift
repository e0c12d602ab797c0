/// Why a model stopped.
public enum FinishReason: Sendable, Equatable {
    /// The model has finished its text.
    case stop
    /// A limit on the completion's length, or the model's window, cut it off.
    case length
    /// The model wants tools to be called.
    case toolCalls
    /// A filter cut the completion off, or replaced it.
    case contentFilter
    /// The server says, in this word, that the completion was not finished.
    case failure(String)
    /// A word that this program does not know. It may mean anything, so it is not taken as an end.
    case unknown(String)

    /// Reads the word of a server: OpenAI's, or that of the model's vendor if a proxy passes it on.
    ///
    /// Nil for a word that is not a reason: some servers write an absent one as text, in each
    /// chunk.
    public init?(_ text: String) {
        // Almost all servers write OpenAI's words as OpenAI does.
        if let known = Self.meanings[text] {
            self = known
            return
        }
        let word = Self.comparable(text)
        if Self.absent.contains(word) { return nil }
        if let known = Self.meanings[word] {
            self = known
        } else if Self.failures.contains(word) {
            self = .failure(Self.bounded(text))
        } else {
            self = .unknown(Self.bounded(text))
        }
    }

    /// OpenAI's word for it (`finish_reason`); the server's own if OpenAI has none.
    public var text: String {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        case .contentFilter: "content_filter"
        case .failure(let text), .unknown(let text): text
        }
    }

    /// Characters of a word from outside that are kept.
    private static let maximumLength = 64

    private static func bounded(_ text: String) -> String { String(text.prefix(maximumLength)) }

    /// Returns the word in small letters and with `_`. Proxies of Gemini put more before it:
    /// `FINISH_REASON_STOP`, `function_call_filter: MALFORMED_FUNCTION_CALL`.
    private static func comparable(_ text: String) -> String {
        let last = text.prefix(256).split(separator: ":").last ?? ""
        let word = String(last.lowercased().filter { !$0.isWhitespace }.map { $0 == "-" ? "_" : $0 })
        let prefix = "finish_reason_"
        return word.hasPrefix(prefix) ? String(word.dropFirst(prefix.count)) : word
    }
}
