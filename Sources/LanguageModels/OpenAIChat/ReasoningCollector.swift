import JSONText
import NIOCore

/// Gathers what a model says beside its completion, piece by piece, as the JSON that it is: the
/// model must get back byte for byte what it said.
struct ReasoningCollector: Sendable {
    /// Bytes of one completion's reasoning. A completion with more keeps none: half of it would be
    /// refused, or mislead.
    static let maximumBytes = 1 << 20
    /// Details of one completion, and unknown members of one call. More of them are not reasoning,
    /// and each new one is compared with all others.
    static let maximumMembers = 256

    /// The member that has the text. Some servers send the same text in two members: the first one
    /// counts.
    private var member: String?
    /// A JSON string without its quotation marks.
    private var text = ByteBuffer()
    private var details = ReasoningDetails()
    private var calls: [Int: [ReasoningTrace.Member]] = [:]
    private var byteCount = 0
    private var isDropped = false

    /// Returns whether text under this name is the completion's reasoning.
    mutating func choose(_ name: String) -> Bool {
        if member == nil { member = name }
        return member == name
    }

    /// Appends a JSON string's text, with the escapes that it has.
    mutating func append(text piece: JSONSlice) {
        guard let inner = piece.raw.getSlice(at: piece.raw.readerIndex + 1, length: piece.raw.readableBytes - 2),
            makeRoom(inner.readableBytes)
        else { return }
        text.writeImmutableBuffer(inner)
    }

    /// Appends `reasoning_details`.
    ///
    /// - Returns: Whether there were any.
    mutating func append(details list: JSONSlice) -> Bool {
        var hasAny = false
        for detail in list.elements where detail.kind == .object {
            hasAny = true
            if makeRoom(detail.raw.readableBytes), !details.append(detail) { drop() }
        }
        return hasAny
    }

    /// Keeps a member of a call. A later one of the same name replaces it.
    mutating func set(_ member: JSONMembers.Member, ofCall index: Int) {
        guard !member.value.isNull, !isDropped else { return }
        // A copy: a slice would keep all that was read from the socket with it.
        let kept = ReasoningTrace.Member(name: member.key.string, json: ByteBuffer(bytes: member.value.raw.readableBytesView))
        var members = calls[index] ?? []
        if let known = members.firstIndex(where: { $0.name == kept.name }) {
            byteCount -= members[known].json.readableBytes
            members[known] = kept
        } else {
            byteCount += kept.name.utf8.count
            members.append(kept)
        }
        guard makeRoom(kept.json.readableBytes), members.count <= Self.maximumMembers else { return drop() }
        calls[index] = members
    }

    /// All of it; nil if there is none.
    var trace: ReasoningTrace? {
        guard !isDropped else { return nil }
        var fields: [ReasoningTrace.Member] = []
        if let member, text.readableBytes > 0 { fields.append(ReasoningTrace.Member(name: member, json: JSONPieces.string(text))) }
        if let json = details.json { fields.append(ReasoningTrace.Member(name: "reasoning_details", json: json)) }
        let members = calls.mapValues { $0.map { ReasoningTrace.Member(name: $0.name, json: JSONPieces.repaired($0.json)) } }
        return fields.isEmpty && members.isEmpty ? nil : ReasoningTrace(fields: fields, calls: members)
    }

    private mutating func makeRoom(_ bytes: Int) -> Bool {
        byteCount += bytes
        if byteCount > Self.maximumBytes { drop() }
        return !isDropped
    }

    private mutating func drop() {
        isDropped = true
        (text, details, calls) = (ByteBuffer(), ReasoningDetails(), [:])
    }
}

/// JSON as a model's server sent it, in pieces or with characters that are cut in half.
enum JSONPieces {
    /// Returns the pieces of JSON strings, joined without their quotation marks, as one JSON
    /// string.
    ///
    /// Two pieces may share a character: the first ends with one half of a surrogate pair, the next
    /// begins with the other. A half that stays alone becomes U+FFFD, since no server takes it
    /// back.
    static func string(_ joined: ByteBuffer) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(joined.readableBytes + 2)
        json.writeStaticString("\"")
        json.writeImmutableBuffer(joined)
        json.writeStaticString("\"")
        return repaired(json)
    }

    /// Returns a value byte for byte if it is valid; else with U+FFFD for each part that is not
    /// text.
    static func repaired(_ json: ByteBuffer) -> ByteBuffer {
        if (try? JSONSlice(parsing: json)) != nil { return json }
        return (try? CheckedJSON(repairing: json))?.buffer ?? ByteBuffer(string: "null")
    }
}
