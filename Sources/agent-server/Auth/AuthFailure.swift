/// Why a request has no principal. Shows no secret.
struct AuthFailure: Error, Sendable {
    enum Reason: String, Sendable {
        /// The request has no credential.
        case missing
        /// No key and no token is this one.
        case wrong
        /// A key or a token whose time is over.
        case expired
        /// A key or a token whose time has not come.
        case early
        /// The keys that sign tokens cannot be fetched, so the token was not checked.
        case unchecked
    }

    var reason: Reason
    /// The credential's id, where one is known: of an expired key.
    var credential: String?
    /// More for the log, of a token that is refused.
    var detail: String?

    init(_ reason: Reason, credential: String? = nil, detail: String? = nil) {
        self.reason = reason
        self.credential = credential
        self.detail = detail
    }

    /// What the client learns. An unknown, an expired and an early credential are the same to it.
    var problem: Problem {
        switch reason {
        case .missing, .wrong, .expired, .early: .unauthorized
        case .unchecked: .issuerUnavailable
        }
    }
}
