/// A day of UTC, by which usage is counted.
public struct UsageDay: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// How long usage is kept, in days after the last step of a month.
    public static let kept = 400

    /// Days since 1970-01-01.
    public let number: Int

    /// - Parameter number: Days since 1970-01-01.
    public init(number: Int) {
        self.number = number
    }

    /// - Parameter milliseconds: Since 1970, on Redis's clock.
    init(milliseconds: Int64) {
        number = Int((Double(milliseconds) / Double(Self.length)).rounded(.down))
    }

    /// Reads a date of RFC 3339, `2026-11-27`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2], text.utf8.allSatisfy({ $0 == 0x2D || (0x30...0x39).contains($0) }),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]), 1...12 ~= month, 1...31 ~= day
        else { return nil }
        number = Self.number(year: year, month: month, day: day)
        // The 30th of February is a day of March.
        guard description == text else { return nil }
    }

    /// The milliseconds of a day.
    static let length: Int64 = 86_400_000

    /// When the day begins, in milliseconds since 1970.
    var start: Int64 { Int64(number) * Self.length }

    public static func < (one: UsageDay, other: UsageDay) -> Bool { one.number < other.number }

    /// The date in RFC 3339.
    public var description: String { "\(month)-\(dayOfMonth)" }

    /// `2026-11`
    var month: String {
        let date = date
        return Self.digits(date.year, 4) + "-" + Self.digits(date.month, 2)
    }

    /// `27`
    var dayOfMonth: String { Self.digits(date.day, 2) }

    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }

    // The Gregorian calendar in years that begin in March, so that the leap day is the last one.

    private static let daysOfFourCenturies = 146_097
    /// The days from 0000-03-01 to 1970-01-01.
    private static let daysBefore1970 = 719_468

    private static func number(year: Int, month: Int, day: Int) -> Int {
        let year = month > 2 ? year : year - 1
        let (century, rest) = (year / 400, year % 400)
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return century * daysOfFourCenturies + rest * 365 + rest / 4 - rest / 100 + dayOfYear - daysBefore1970
    }

    private var date: (year: Int, month: Int, day: Int) {
        let days = max(0, number + Self.daysBefore1970)
        let (century, rest) = (days / Self.daysOfFourCenturies, days % Self.daysOfFourCenturies)
        let year = (rest - rest / 1460 + rest / 36_524 - rest / 146_096) / 365
        let dayOfYear = rest - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        return (century * 400 + year + (month < 10 ? 0 : 1), month < 10 ? month + 3 : month - 9, day)
    }
}
