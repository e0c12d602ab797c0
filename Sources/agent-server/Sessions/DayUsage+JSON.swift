import NIOCore
import SessionStore

extension ByteBuffer {
    /// Writes the members `usage`, a sum, and `days` of a JSON object.
    mutating func writeMembers(of days: [DayUsage]) {
        var sum = DayUsage(day: UsageDay(number: 0))
        for day in days {
            sum.promptTokens = Self.sum(sum.promptTokens, day.promptTokens)
            sum.completionTokens = Self.sum(sum.completionTokens, day.completionTokens)
            sum.steps = Self.sum(sum.steps, day.steps)
        }
        writeString(#""usage":{"#)
        writeCounts(of: sum)
        writeString(#"},"days":["#)
        for (index, day) in days.enumerated() {
            if index > 0 { writeString(",") }
            writeString("{\"day\":\"\(day.day)\",")
            writeCounts(of: day)
            writeString("}")
        }
        writeString("]")
    }

    private mutating func writeCounts(of usage: DayUsage) {
        writeString("\"steps\":\(usage.steps),\"prompt_tokens\":\(usage.promptTokens)")
        writeString(",\"completion_tokens\":\(usage.completionTokens)")
        writeString(",\"total_tokens\":\(Self.sum(usage.promptTokens, usage.completionTokens))")
    }

    /// Adds numbers that come from Redis, which a person may have edited.
    private static func sum(_ one: Int, _ other: Int) -> Int {
        let (sum, isTooLarge) = one.addingReportingOverflow(other)
        return isTooLarge ? .max : sum
    }
}
