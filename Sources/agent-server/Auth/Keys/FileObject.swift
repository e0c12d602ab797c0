import Foundation
import JSONText

/// An object of a keys file. It refuses members that it does not know: a misspelt `not_after` would
/// otherwise be a key that never expires.
struct FileObject {
    /// Where it stands, for errors: `keys[2] (gateway)`.
    var path: String
    private var values: [String: JSONSlice] = [:]

    init(_ value: JSONSlice, _ path: String, members known: Set<String>) throws(CredentialFileError) {
        self.path = path
        guard value.kind == .object else { throw CredentialFileError("\(path) must be an object") }
        for member in value.members {
            let name = member.key.string
            guard known.contains(name) else {
                throw CredentialFileError("\(path) has a member that is none of \(known.sorted().joined(separator: ", "))")
            }
            guard values.updateValue(member.value, forKey: name) == nil else { throw failure(name, "is there twice") }
        }
    }

    /// Returns the error of one member. Its value is not shown.
    func failure(_ member: String, _ problem: String) -> CredentialFileError {
        CredentialFileError("\(path), \(member): \(problem)")
    }

    /// Returns a member's value; nil if it is absent or null.
    ///
    /// - Parameters:
    ///   - rule: What the value must be: “must be …”.
    ///   - read: Returns nil for a value that breaks the rule.
    func value<Value>(_ name: String, _ rule: String, _ read: (JSONSlice) -> Value?) throws(CredentialFileError) -> Value? {
        guard let value = values[name], !value.isNull else { return nil }
        guard let result = read(value) else { throw failure(name, rule) }
        return result
    }

    /// Returns the value of a member that must be there.
    func required<Value>(_ name: String, _ rule: String, _ read: (JSONSlice) -> Value?) throws(CredentialFileError) -> Value {
        guard let value = try value(name, rule, read) else { throw failure(name, rule) }
        return value
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(CredentialFileError) -> Int? {
        try value(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)") { value in
            value.integer.flatMap { range.contains($0) ? $0 : nil }
        }
    }

    func date(_ name: String) throws(CredentialFileError) -> Date? {
        try value(name, "must be a time as in 2027-01-01T00:00:00Z (RFC 3339)") { $0.string.flatMap { Date(rfc3339: $0) } }
    }

    func object(_ name: String, members: Set<String>) throws(CredentialFileError) -> FileObject? {
        guard let value = try value(name, "must be an object", { $0.kind == .object ? $0 : nil }) else { return nil }
        return try FileObject(value, "\(path), \(name)", members: members)
    }
}

extension Date {
    /// Reads a time with a zone, with or without a fraction of a second.
    init?(rfc3339 text: String) {
        let forms = [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)]
        guard let date = forms.lazy.compactMap({ try? $0.parse(text) }).first else { return nil }
        self = date
    }
}
