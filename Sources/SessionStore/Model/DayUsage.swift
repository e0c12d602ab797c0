/// What an account has used on one day.
///
/// A step counts on the day on which it ends. The counts are those that models reported: they may
/// be too high after a reply of Redis was lost, and are not too low unless Redis refused to count,
/// which the replica logs, or a replica was lost before its step ended.
public struct DayUsage: Sendable, Equatable {
    /// The day.
    public var day: UsageDay
    /// The tokens of the prompts.
    public var promptTokens = 0
    /// The tokens of the completions.
    public var completionTokens = 0
    /// The steps that have ended, whatever their outcome.
    public var steps = 0
    /// The price of these tokens in millionths of a currency unit; 0 unless the server knows
    /// prices.
    public var cost = 0

    /// - Parameter day: The day, on which nothing was used yet.
    public init(day: UsageDay) {
        self.day = day
    }
}
