import FoundationEssentials
import NIOCore

/// The time of a log line, as RFC 3339 writes it: `2026-11-26T15:21:44.123Z`. Foundation's
/// formatter takes more time than all the rest of a line.
enum LogTime {
    private static let dayLength = 86_400_000
    /// The last millisecond of the year 9999.
    private static let last = 253_402_300_799_999.0

    static func write(_ time: Date, into line: inout ByteBuffer) {
        let milliseconds = Int(min(max(0, time.timeIntervalSince1970 * 1000), last))
        let date = date(milliseconds / dayLength)
        let rest = milliseconds % dayLength
        write(date.year, 4, "-", into: &line)
        write(date.month, 2, "-", into: &line)
        write(date.day, 2, "T", into: &line)
        write(rest / 3_600_000, 2, ":", into: &line)
        write(rest / 60_000 % 60, 2, ":", into: &line)
        write(rest / 1000 % 60, 2, ".", into: &line)
        write(rest % 1000, 3, "Z", into: &line)
    }

    /// Returns the date of a day, counted from 1970-01-01. Years begin in March here, so that a
    /// leap day is the last of its year; 400 years have 146,097 days.
    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let (era, day) = (days + 719_468).quotientAndRemainder(dividingBy: 146_097)
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let ofYear = day - (365 * year + year / 4 - year / 100)
        let month = (5 * ofYear + 2) / 153
        let isNextYear = month >= 10
        return (
            era * 400 + year + (isNextYear ? 1 : 0), isNextYear ? month - 9 : month + 3, ofYear - (153 * month + 2) / 5 + 1
        )
    }

    private static func write(_ number: Int, _ digits: Int, _ end: StaticString, into line: inout ByteBuffer) {
        var unit = digits == 4 ? 1000 : digits == 3 ? 100 : 10
        while unit > 0 {
            line.writeInteger(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / unit % 10))
            unit /= 10
        }
        line.writeStaticString(end)
    }
}
