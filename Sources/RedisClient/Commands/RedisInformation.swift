/// The fields of a reply to `INFO` or `CLUSTER INFO`: lines of `name:value`.
package struct RedisInformation: Sendable {
    private var fields: [Substring: Substring] = [:]

    package init(_ texts: [String]) {
        for line in texts.joined(separator: "\r\n").split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
    }

    package init(_ replies: [RedisReply]) {
        self.init(replies.map { $0.string ?? "" })
    }

    /// Returns the value of a field, or nil if Redis did not send the field.
    package subscript(_ name: Substring) -> Substring? { fields[name] }
}
