import RedisClient

/// How the text of a setting becomes a value, and how the documentation shows the two.
struct SettingFormat<Value: Sendable>: Sendable {
    /// The values that are taken, in Markdown, such as `0–65535`; nil when any text is.
    var values: String?
    /// Reads a value from a text that is not empty.
    var parse: @Sendable (String) throws(SettingProblem) -> Value
    /// Returns the text of a value, in Markdown: for defaults.
    var text: @Sendable (Value) -> String

    init(
        values: String? = nil, text: @escaping @Sendable (Value) -> String = { "`\($0)`" },
        parse: @escaping @Sendable (String) throws(SettingProblem) -> Value
    ) {
        self.values = values
        self.parse = parse
        self.text = text
    }
}

/// Why a value cannot be used, as a continuation of the setting's name: “must be …”.
struct SettingProblem: Error {
    var text: String

    init(_ text: String) {
        self.text = text
    }
}

extension SettingFormat<String> {
    /// Any text.
    static var string: Self { Self { text throws(SettingProblem) in text } }

    /// The path of a file that can be read.
    static var file: Self {
        Self(values: "a path") { path throws(SettingProblem) in
            _ = try SettingsFile.contents(of: path)
            return path
        }
    }

    /// A text that can stand in a header, and arrives there as it was sent. Errors do not show it.
    static var headerValue: Self {
        Self(values: "printable ASCII without a space at its ends") { text throws(SettingProblem) in
            guard text.utf8.allSatisfy({ 0x20...0x7E ~= $0 }), text.first != " ", text.last != " " else {
                throw SettingProblem("must be of printable ASCII characters, without a space at its ends")
            }
            return text
        }
    }

    /// A text that goes into each request's JSON, where a line break from a file would be refused
    /// far from its cause.
    static var oneLine: Self {
        Self(values: "text without control characters") { text throws(SettingProblem) in
            guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
                throw SettingProblem("must not have control characters, nor a line break at its end")
            }
            return text
        }
    }
}

extension SettingFormat<Int> {
    /// A whole number.
    static func integer(in range: ClosedRange<Int>) -> Self {
        Self(values: range.documented, text: { "\($0)" }) { text throws(SettingProblem) in
            guard let value = Int(text), range.contains(value) else {
                throw SettingProblem(
                    "must be a whole number from \(range.lowerBound) to \(range.upperBound), not “\(text)”")
            }
            return value
        }
    }
}

extension SettingFormat<Duration> {
    /// A whole number of milliseconds.
    static func milliseconds(in range: ClosedRange<Int>) -> Self {
        SettingFormat<Int>.integer(in: range).map({ .milliseconds($0) }, text: { "\($0.milliseconds)" })
    }

    /// A whole number of seconds.
    static func seconds(in range: ClosedRange<Int>) -> Self {
        SettingFormat<Int>.integer(in: range).map({ .seconds($0) }, text: { "\($0.components.seconds)" })
    }
}

extension SettingFormat<Bool> {
    static var boolean: Self {
        Self(values: "`true` or `false`") { text throws(SettingProblem) in
            switch text.lowercased() {
            case "true", "1", "yes", "on": return true
            case "false", "0", "no", "off": return false
            default: throw SettingProblem("must be true or false, not “\(text)”")
            }
        }
    }
}

extension SettingFormat where Value: RawRepresentable<String> & CaseIterable {
    /// One of the type's cases, in letters of either case.
    static var choice: Self {
        let words = Value.allCases.map(\.rawValue)
        return Self(
            values: words.map { "`\($0)`" }.joined(separator: ", "), text: { "`\($0.rawValue)`" }
        ) { text throws(SettingProblem) in
            guard let value = Value(rawValue: text.lowercased()) else {
                throw SettingProblem("must be one of \(words.joined(separator: ", ")), not “\(text)”")
            }
            return value
        }
    }
}

extension SettingFormat {
    /// The same texts, with values of another type.
    func map<Other: Sendable>(
        _ transform: @escaping @Sendable (Value) -> Other, text: @escaping @Sendable (Other) -> String
    ) -> SettingFormat<Other> {
        let parse = parse
        return SettingFormat<Other>(values: values, text: text) { text throws(SettingProblem) in
            transform(try parse(text))
        }
    }
}

extension ClosedRange<Int> {
    fileprivate var documented: String { "\(lowerBound)–\(upperBound)" }
}
