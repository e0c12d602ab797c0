/// Whether an answer has ended, and why.
///
/// A reason that comes before what the model says is none: some servers send one with every chunk. Text that follows it shows
/// that, and from then on only the stream's own end counts.
struct AnswerEnd: Sendable {
    private var reason: FinishReason?
    private var isBegun = false
    /// The answer had begun before the chunk that is being read.
    private var wasBegun = false
    /// A reason has come behind words, and not with the first of them.
    private var isBehindWords = false
    private var isDoubtful = false

    var hasReason: Bool { reason != nil }

    /// The model has said why it stopped, and nothing since.
    var isReached: Bool {
        guard let reason, !isDoubtful else { return false }
        return switch reason {
        // A model that has said nothing yet may be about to, and one that names a reason with its first words may do so with all.
        case .stop, .toolCalls: isBehindWords
        case .length, .contentFilter, .failure, .unknown: true
        }
    }

    /// Text has followed a reason.
    var isInDoubt: Bool { isDoubtful }

    mutating func beginChunk() {
        wasBegun = isBegun
    }

    /// More of the text or of a call has come. A text delta passes here.
    mutating func somethingWasSaid() {
        isBegun = true
        if reason != nil { isDoubtful = true }
    }

    mutating func take(_ reason: FinishReason) {
        self.reason = reason
        isBehindWords = isBehindWords || wasBegun
    }

    /// Why the answer ended that has reached its end; nil where it has broken off.
    ///
    /// - Parameter isMarked: The server has marked the end. Then an answer needs no reason.
    func reason(isMarked: Bool) -> FinishReason? {
        reason ?? (isMarked && isBegun ? .stop : nil)
    }
}
