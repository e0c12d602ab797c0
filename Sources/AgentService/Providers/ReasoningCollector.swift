import NIOCore
import SessionStore

/// Gathers what a model says beside its answer, piece by piece, as the JSON that it is: what goes back to the
/// model must be what it said, byte for byte.
struct ReasoningCollector: Sendable {
    /// Bytes of one answer's reasoning. An answer with more keeps none: half of it would be refused, or mislead.
    static let maximumBytes = 1 << 20

    /// The member that has the text. Some servers send the same text in two: the first one counts.
    private var member: String?
    /// A JSON string without its quotation marks.
    private var text = ByteBuffer()
    private var details = ReasoningDetails()
    private var calls: [Int: [ReasoningTrace.Member]] = [:]
    private var byteCount = 0
    private var isDropped = false

    /// Returns whether text under this name is the answer's reasoning.
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
            if makeRoom(detail.raw.readableBytes) { details.append(detail) }
        }
        return hasAny
    }

    /// Keeps a member of a call. A later one of the same name replaces it.
    mutating func set(_ member: JSONMembers.Member, ofCall index: Int) {
        guard !member.value.isNull, makeRoom(member.value.raw.readableBytes) else { return }
        // A copy: a slice would keep all that was read from the socket with it.
        let kept = ReasoningTrace.Member(name: member.key.string, json: ByteBuffer(bytes: member.value.raw.readableBytesView))
        if let known = calls[index]?.firstIndex(where: { $0.name == kept.name }) {
            calls[index]?[known] = kept
        } else {
            calls[index, default: []].append(kept)
        }
    }

    /// All of it; nil where there is none.
    var trace: ReasoningTrace? {
        guard !isDropped else { return nil }
        var fields: [ReasoningTrace.Member] = []
        if let member, text.readableBytes > 0 { fields.append(ReasoningTrace.Member(name: member, json: JSONPieces.string(text))) }
        if let json = details.json { fields.append(ReasoningTrace.Member(name: "reasoning_details", json: json)) }
        return fields.isEmpty && calls.isEmpty ? nil : ReasoningTrace(fields: fields, calls: calls)
    }

    private mutating func makeRoom(_ bytes: Int) -> Bool {
        byteCount += bytes
        if byteCount > Self.maximumBytes, !isDropped {
            isDropped = true
            (text, details, calls) = (ByteBuffer(), ReasoningDetails(), [:])
        }
        return !isDropped
    }
}

/// A JSON string in pieces.
enum JSONPieces {
    /// Returns the pieces of JSON strings, joined without their quotation marks, as one JSON string.
    ///
    /// Two pieces may share a character: the first ends with one half of a surrogate pair, the next begins with
    /// the other. A half that stays alone becomes U+FFFD, since no server takes it back.
    static func string(_ joined: ByteBuffer) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(joined.readableBytes + 2)
        json.writeStaticString("\"")
        json.writeImmutableBuffer(joined)
        json.writeStaticString("\"")
        if (try? JSONSlice(parsing: json)) != nil { return json }
        var repaired = ByteBuffer()
        repaired.writeJSONString(JSONSlice.string(leading: json, behind: "")?.string ?? "")
        return repaired
    }
}
