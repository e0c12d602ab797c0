import JSONText
import NIOCore

/// Merges the pieces of `reasoning_details` as they are streamed (OpenRouter, "Reasoning tokens"):
/// the texts of pieces with the same index are joined, and a signature may come in a last piece
/// without text.
struct ReasoningDetails: Sendable {
    private enum Value {
        /// A JSON string that grows, without its quotation marks.
        case text(ByteBuffer)
        case json(ByteBuffer)
    }

    private struct Detail {
        var index: Int?
        var type: String?
        var members: [(name: String, value: Value)] = []
    }

    private static let joined: Set<String> = ["text", "summary", "data"]
    private var details: [Detail] = []

    /// Appends a piece.
    ///
    /// - Returns: False if there are too many.
    mutating func append(_ piece: JSONSlice) -> Bool {
        let index = piece["index"]?.integer
        let type = piece["type"]?.string
        let position = self.position(index: index, type: type)
        for member in piece.members {
            merge(member, into: position)
            guard details[position].members.count <= ReasoningCollector.maximumMembers else { return false }
        }
        return details.count <= ReasoningCollector.maximumMembers
    }

    /// The list as JSON; nil if it is empty.
    var json: ByteBuffer? {
        guard !details.isEmpty else { return nil }
        var json = ByteBuffer()
        for (number, detail) in details.enumerated() {
            json.writeStaticString(number == 0 ? "[{" : ",{")
            for (number, member) in detail.members.enumerated() {
                if number > 0 { json.writeStaticString(",") }
                json.writeJSONString(member.name)
                json.writeStaticString(":")
                switch member.value {
                case .text(let joined): json.writeImmutableBuffer(JSONPieces.string(joined))
                case .json(let value): json.writeImmutableBuffer(JSONPieces.repaired(value))
                }
            }
            json.writeStaticString("}")
        }
        json.writeStaticString("]")
        return json
    }

    /// Returns the place of the detail that a piece belongs to; that of a new one if it belongs to
    /// none.
    ///
    /// A piece without an index continues the last detail if both are text. Anything else without
    /// an index, such as encrypted data, is a detail of its own.
    private mutating func position(index: Int?, type: String?) -> Int {
        if let index {
            if let known = details.lastIndex(where: { $0.index == index && $0.type == type }) { return known }
        } else if let last = details.last, last.index == nil, last.type == type, type == "reasoning.text" || type == "reasoning.summary" {
            return details.count - 1
        }
        details.append(Detail(index: index, type: type))
        return details.count - 1
    }

    private mutating func merge(_ member: JSONMembers.Member, into position: Int) {
        let name = member.key.string
        let value = ByteBuffer(bytes: member.value.raw.readableBytesView)
        let known = details[position].members.firstIndex { $0.name == name }
        if Self.joined.contains(name), member.value.kind == .string,
            let inner = value.getSlice(at: value.readerIndex + 1, length: value.readableBytes - 2)
        {
            guard let known else { return details[position].members.append((name, .text(inner))) }
            if case .text(var text) = details[position].members[known].value {
                // Taken out first, so that its bytes are not copied.
                details[position].members[known].value = .json(ByteBuffer())
                text.writeImmutableBuffer(inner)
                details[position].members[known].value = .text(text)
            } else {
                details[position].members[known].value = .text(inner)
            }
            return
        }
        guard let known else { return details[position].members.append((name, .json(value))) }
        if !member.value.isNull { details[position].members[known].value = .json(value) }
    }
}
