/// The names in a Lua text: those that it uses, and those that it declares. Scopes are ignored: a
/// name that is declared anywhere counts as declared everywhere.
struct LuaNames {
    /// Names of variables, in order, without those that follow a dot.
    private(set) var uses: [String] = []
    private var declared: Set<String> = []

    private static let keywords: Set = [
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or", "repeat",
        "return", "then", "true", "until", "while",
    ]
    /// The global names of Redis that the scripts may use.
    private static let globals: Set = [
        "ARGV", "KEYS", "error", "ipairs", "math", "redis", "string", "table", "tonumber", "type", "unpack",
    ]

    var undeclared: [String] {
        var seen: Set<String> = []
        return uses.filter { !declared.contains($0) && !Self.globals.contains($0) && seen.insert($0).inserted }
    }

    init(_ text: String) {
        let tokens = Self.tokens(text)
        var braces = 0
        for (index, token) in tokens.enumerated() {
            if token == "{" { braces += 1 }
            if token == "}" { braces -= 1 }
            guard let first = token.first, first.isLetter || first == "_" else { continue }
            let before = index > 0 ? tokens[index - 1] : ""
            let after = index + 1 < tokens.count ? tokens[index + 1] : ""
            switch token {
            case "local" where after != "function", "for": declare(tokens[(index + 1)...].prefix { $0 != "=" && $0 != "in" })
            case "function":
                if after != "(" { declared.insert(after) }
                declare(tokens[(index + 1)...].drop { $0 != "(" }.dropFirst().prefix { $0 != ")" })
            default:
                let isField = before == "." || braces > 0 && after == "="
                if !isField, !Self.keywords.contains(token) { uses.append(token) }
            }
        }
    }

    /// Reads names with commas between them, up to the first other token.
    private mutating func declare(_ list: ArraySlice<String>) {
        var expectsName = true
        for token in list {
            if token == "," {
                expectsName = true
            } else if expectsName, !Self.keywords.contains(token) {
                declared.insert(token)
                expectsName = false
            } else {
                return
            }
        }
    }

    private static func tokens(_ text: String) -> [String] {
        let lexeme = /--[^\n]*|^#![^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|[A-Za-z_][A-Za-z0-9_]*|[0-9.]*[0-9]|[=~<>]=|\.\.\.?|[^\s]/
        return text.matches(of: lexeme).map { String($0.output) }.filter { !$0.hasPrefix("--") && !$0.hasPrefix("#!") }
    }
}
