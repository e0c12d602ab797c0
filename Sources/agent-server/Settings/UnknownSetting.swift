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

    /// Returns the near name with the smallest edit distance. A name is near if at most a third of
    /// the letters behind the prefix differ, or if one of the two contains the other:
    /// `AGENT_RUNTIME__MODEL` is near `AGENT_RUNTIME__LLM_MODEL`.
    private static func nearest(to name: String, of known: [String]) -> String? {
        let word = name.dropFirst(Setting.prefix.count)
        guard word.count >= shortestWord else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in known where candidate.hasPrefix(Setting.prefix) {
            let other = candidate.dropFirst(Setting.prefix.count)
            let distance = EditDistance.between(Array(word), Array(other))
            let isNear = distance * 3 <= word.count || other.contains(word) || word.contains(other)
            if isNear, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// A shorter name is too little to guess from.
    private static let shortestWord = 3
}
