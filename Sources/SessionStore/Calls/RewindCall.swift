import JSONText
import NIOCore

/// What a call of `rewind` is made from.
struct RewindCall: RequestedCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let requester: Requester
    let token: LeaseToken
    let cut: HistoryCut
    /// The session's fence and the history's length, as this replica has read them.
    let seenFence: Int
    let seenLength: Int
    /// The role of the last message that stays.
    let lastRole: ChatRole

    /// The cut as a step that ended without text. The script writes its number.
    var journalLine: ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"step":0,"status":"cancelled","owner":"#)
        json.writeJSONString(store.configuration.replica)
        json.writeStaticString(#","nonce":"#)
        json.writeJSONString(token.nonce)
        json.writeStaticString(#","history":["#)
        json.writeDecimal(cut.length)
        json.writeStaticString(",")
        json.writeDecimal(cut.length)
        json.writeStaticString(#"],"rewound_from":"#)
        json.writeDecimal(seenLength)
        json.writeStaticString("}")
        return json
    }
}

/// What a rewind removes from a session.
struct HistoryCut: Sendable {
    /// How many messages stay.
    var length: Int
    /// Of the messages that go.
    var bytes = 0
    /// Of the journal, counted from its end.
    var lines = 0
    /// The first step of which nothing stays; nil for none.
    var firstStep: Int?
    /// The first step whose message goes, too.
    var firstKeyStep: Int?
}

extension StoreScripts {
    static let rewind = StoreScript<RewindCall>(
        "rewind", body: PackageResources.rewind_lua,
        [
            .text("token") { $0.token.text },
            .text("nonce") { $0.token.nonce },
            .owner,
            .ttl,
            .number("seen_fence") { $0.seenFence },
            .number("seen_length") { $0.seenLength },
            .number("kept") { $0.cut.length },
            .number("cut_bytes") { $0.cut.bytes },
            .text("last_role") { $0.lastRole.rawValue },
            .number("cut_lines") { $0.cut.lines },
            .number("first_step") { $0.cut.firstStep ?? 0 },
            .bytes("journal_line") { $0.journalLine },
            .journalBound,
            .publish,
            .wake,
            .knownLayout,
            .number("first_key_step") { $0.cut.firstKeyStep ?? 0 },
            .subject,
            .opensUnowned,
            .grace,
        ])
}
