import FoundationEssentials

/// Dates in HTTP headers (RFC 9110, section 5.6.7), in seconds since 1970.
enum HTTPDate {
    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

    static var now: Int { Int(Date().timeIntervalSince1970) }

    /// Reads any of the three forms; nil for what is not a date.
    static func seconds(_ text: String) -> Int? {
        let words = text.lowercased().split { " ,-:".contains($0) }.map(String.init)
        // Sun, 06 Nov 1994 08:49:37 GMT — Sunday, 06-Nov-94 08:49:37 GMT — Sun Nov  6 08:49:37 1994
        let isSystemForm = words.count == 7 && months.contains(words[1])
        guard isSystemForm || words.count == 8 && words[7] == "gmt" else { return nil }
        let (dayText, monthText, yearText) = isSystemForm ? (words[2], words[1], words[6]) : (words[1], words[2], words[3])
        let clock = (isSystemForm ? words[3...5] : words[4...6]).compactMap { Int($0) }
        guard let day = Int(dayText), let month = months.firstIndex(of: monthText), var year = Int(yearText), clock.count == 3,
            1...31 ~= day, 0...9999 ~= year, 0...23 ~= clock[0], 0...59 ~= clock[1], 0...60 ~= clock[2]
        else { return nil }
        // Two digits belong to the nearest century.
        if yearText.count == 2 { year += year < 70 ? 2000 : 1900 }
        return days(year: year, month: month + 1, day: day) * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    }

    /// Returns the days since 1970 in the Gregorian calendar. A year begins with March here, so
    /// that its leap day comes last.
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
