/// A variable that begins like a setting and is none: most likely a misspelt one.
struct UnknownSetting: Sendable, Equatable, CustomStringConvertible {
    var name: String
    /// The setting with the nearest name, if one is near.
    var nearest: String?

    /// Shows no value.
    var description: String {
        "\(name) is not a setting" + (nearest.map { "; the nearest one is \($0)" } ?? "")
    }

    /// Returns the unknown settings of an environment, sorted by name.
    static func all(in environment: [String: String]) -> [UnknownSetting] {
        let known = Setting.all.flatMap { [$0.name, $0.fileVariable].compactMap(\.self) }
        return environment.keys.filter { $0.uppercased().hasPrefix(Setting.prefix) && !known.contains($0) }.sorted().map {
            UnknownSetting(name: $0, nearest: nearest(to: $0.uppercased(), of: known))
        }
    }

    /// Returns the name with the smallest edit distance; nil when more than a third of the letters
    /// behind the prefix differ.
    private static func nearest(to name: String, of known: [String]) -> String? {
        let word = Array(name.utf8.dropFirst(Setting.prefix.utf8.count))
        let distances = known.filter { $0.hasPrefix(Setting.prefix) }.map { candidate in
            (candidate, EditDistance.between(word, Array(candidate.utf8.dropFirst(Setting.prefix.utf8.count))))
        }
        guard let best = distances.min(by: { $0.1 < $1.1 }), best.1 * 3 <= word.count else { return nil }
        return best.0
    }
}
