/// The fields of answers to `INFO`.
struct RedisInformation: Sendable {
    private var fields: [Substring: Substring] = [:]

    init(_ texts: [String]) {
        for line in texts.joined(separator: "\r\n").split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
    }

    init(_ replies: [RedisReply]) {
        self.init(replies.map { $0.string ?? "" })
    }

    subscript(_ name: Substring) -> Substring? { fields[name] }
}
