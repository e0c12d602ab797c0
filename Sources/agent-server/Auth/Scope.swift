import JSONText

/// What a credential allows, as a set.
struct Scopes: OptionSet, Sendable, Hashable, CustomStringConvertible {
    let rawValue: UInt16

    /// State, history, stream, tickets.
    static let read = Scopes(rawValue: 1 << 0)
    /// Messages, retry, rewind.
    static let write = Scopes(rawValue: 1 << 1)
    static let cancel = Scopes(rawValue: 1 << 2)
    static let delete = Scopes(rawValue: 1 << 3)
    static let list = Scopes(rawValue: 1 << 4)
    /// Others' usage, export, erasure.
    static let admin = Scopes(rawValue: 1 << 5)
    /// Acting for the user whom `X-Agent-Subject` names.
    static let impersonate = Scopes(rawValue: 1 << 6)

    static let sessions: Scopes = [.read, .write, .cancel, .delete, .list]
    static let all: Scopes = [.sessions, .admin, .impersonate]

    /// The names in keys files and tokens.
    private static let names: [String: Scopes] = [
        "sessions:read": .read, "sessions:write": .write, "sessions:cancel": .cancel, "sessions:delete": .delete,
        "sessions:list": .list, "sessions:*": .sessions, "admin": .admin, "impersonate": .impersonate, "*": .all,
    ]

    /// All valid names of scopes, sorted and separated by commas.
    static let rule = names.keys.sorted().joined(separator: ", ")

    /// The names of the scopes in the set, as OAuth writes them (RFC 6749, section 3.3).
    var description: String {
        let single = Self.names.filter { $0.value.isSubset(of: self) && $0.value.rawValue.nonzeroBitCount == 1 }
        return single.keys.sorted().joined(separator: " ")
    }

    /// Reads one name; nil for an unknown one.
    init?(name: some StringProtocol) {
        guard let scopes = Self.names[String(name)] else { return nil }
        self = scopes
    }

    /// Reads an array of names; nil for another value, and if a name is unknown.
    init?(names value: JSONSlice) {
        guard value.kind == .array else { return nil }
        self = []
        for element in value.elements {
            guard let scopes = element.string.flatMap({ Scopes(name: $0) }) else { return nil }
            formUnion(scopes)
        }
    }

    init(rawValue: UInt16) {
        self.rawValue = rawValue
    }
}
