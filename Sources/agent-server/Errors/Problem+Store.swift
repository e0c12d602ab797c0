import SessionStore

/// The problems that Redis causes.
extension Problem {
    init(_ error: StoreError) {
        switch error.code {
        case .outcomeUnknown, .unexpectedReply:
            self = Problem(
                .outcomeUnknown,
                """
                Redis did not reply as expected: the request may have been executed; send it again, unchanged, with the same \
                Idempotency-Key
                """
            ).retry(after: .seconds(1))
        case .overloaded:
            self = Problem(.overloaded, "too many commands to Redis are in flight").retry(after: .seconds(1))
        case .damaged:
            self.init(.sessionDamaged, "a key of this session holds a value of the wrong type")
            cause = "\(error)"
        case .newerLayout:
            self = .layoutNewer()
        case .olderLayout:
            self = Problem(
                .layoutOlder, "the keys in Redis have a layout without tenants and users; an operator has to raise it"
            ).retry(after: .seconds(30))
        case .unavailable, .cancelled:
            self = .storeUnavailable("the session store cannot be reached; nothing was written")
        }
    }

    static func storeUnavailable(_ detail: String) -> Problem {
        Problem(.storeUnavailable, detail).retry(after: .seconds(1))
    }

    static func layoutNewer(_ layout: Int? = nil) -> Problem {
        let what = layout.map { "layout \($0) of the keys" } ?? "a later layout of the keys"
        return Problem(
            .layoutNewer, "this session has \(what), which this replica cannot read; nothing was written"
        ).retry(after: .seconds(1))
    }

    static var sessionNotFound: Problem { Problem(.sessionNotFound, "this session does not exist") }
}
