/// Puts the text of a script together: the first line of its file, which names the engine; the
/// prologue, which gives KEYS and ARGV their names; and the rest of the file. A line `-- uses
/// clock, ledger` stands for the files `lib/clock.lua` and `lib/ledger.lua`, at that place.
///
/// Redis gets one text, and its SHA-1 is that of the whole. All names in it are local to one call.
/// Parts are mostly statements: creating a function costs a script more than repeating a loop.
enum ScriptText {
    static func assembled(_ file: [UInt8], prologue: String) -> String {
        let text = String(decoding: file, as: UTF8.self)
        let rest = text.firstIndex(of: "\n").map { text.index(after: $0) } ?? text.endIndex
        return text[..<rest] + prologue + expanded(text[rest...])
    }

    /// Returns the text with the parts that it uses. A part that does not exist becomes a statement
    /// that fails.
    private static func expanded(_ text: Substring) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let parts = parts(usedBy: line)
            guard !parts.isEmpty else { return String(line) }
            return parts.map { part in
                library[part].map { expanded($0[...]) } ?? "error('there is no lib/\(part).lua')"
            }.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    /// Returns the parts that a line names; none if it is not a line `-- uses  …`.
    static func parts(usedBy line: Substring) -> [String] {
        let line = line.drop { $0 == " " }
        guard line.hasPrefix("-- uses ") else { return [] }
        return line.dropFirst(8).split(separator: ",").map { $0.filter { $0 != " " } }
    }

    /// Returns the Lua statements that give KEYS and ARGV their names.
    ///
    /// - Parameters:
    ///   - arguments: Each with an expression that reads it, if that is not the argument itself.
    ///   - hasRest: Whether more arguments follow; `rest` is the index of the first of them.
    static func prologue(keys: [String], arguments: [(name: String, reading: String?)], hasRest: Bool) -> String {
        var text = "local \(keys.joined(separator: ", ")) = unpack(KEYS)\n"
        if !arguments.isEmpty {
            text += "local \(arguments.map(\.name).joined(separator: ", ")) = unpack(ARGV, 1, \(arguments.count))\n"
        }
        let readings = arguments.compactMap { argument in argument.reading.map { (argument.name, $0) } }
        if !readings.isEmpty {
            text += "\(readings.map(\.0).joined(separator: ", ")) = \(readings.map(\.1).joined(separator: ", "))\n"
        }
        return hasRest ? text + "local rest = \(arguments.count + 1)\n" : text
    }

    /// The files of `Scripts/lib`, by name.
    private static let library: [String: String] = [
        "calls": PackageResources.calls_lua,
        "clock": PackageResources.clock_lua,
        "closed_calls": PackageResources.closed_calls_lua,
        "expiry": PackageResources.expiry_lua,
        "expiry_or_none": PackageResources.expiry_or_none_lua,
        "json_string": PackageResources.json_string_lua,
        "layout": PackageResources.layout_lua,
        "ledger": PackageResources.ledger_lua,
        "log_batch": PackageResources.log_batch_lua,
        "log_opening": PackageResources.log_opening_lua,
        "owner": PackageResources.owner_lua,
        "small_list": PackageResources.small_list_lua,
    ].mapValues { String(decoding: $0, as: UTF8.self) }
}
