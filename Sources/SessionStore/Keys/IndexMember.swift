/// A member of the index of sessions: a session's name and, behind a space, its owner as it stands
/// in keys. Without a session's keys, the member alone says in which user's list the session is.
struct IndexMember: Hashable, Sendable {
    let session: SessionID
    /// A subject, percent-encoded; empty for none.
    let owner: String

    /// - Parameter subject: The owner as the session's state has it; empty for none.
    init(_ session: SessionID, subject: String) {
        self.session = session
        owner = Account.encoded(subject)
    }

    /// - Parameter encodedOwner: The owner as it stands in keys.
    init(_ session: SessionID, encodedOwner: String) {
        self.session = session
        owner = encodedOwner
    }

    /// Reads what ``text`` returns; nil for anything else.
    init?(_ text: some StringProtocol) {
        let words = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard let session = words.first.flatMap({ SessionID(name: $0) }) else { return nil }
        self.session = session
        owner = words.count > 1 ? String(words[1]) : ""
    }

    var text: String { owner.isEmpty ? session.name : "\(session.name) \(owner)" }
}

extension RedisKeyspace {
    /// Returns every sorted set that has the session by its last activity, and its member there.
    func places(of member: IndexMember) -> [(key: String, member: String)] {
        let index = RedisKeys(member.session, in: self).index
        guard !member.owner.isEmpty else { return [(index, member.text)] }
        return [(index, member.text), (sessions(ofEncoded: member.owner, in: member.session.tenant), member.session.name)]
    }
}
