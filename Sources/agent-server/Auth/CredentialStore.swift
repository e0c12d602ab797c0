import Locks

/// What opens this replica at one moment. A reload replaces it as a whole.
final class Credentials: Sendable {
    let table: KeyTable
    let issuer: IssuerKeys
    /// The tokens that these credentials have verified. New credentials begin without any: a key of
    /// the issuer may be gone, or a limit may have changed.
    let tokens = TokenCache()

    init(table: KeyTable, issuer: IssuerKeys = .none) {
        self.table = table
        self.issuer = issuer
    }
}

/// What opens this replica now. Requests read it, and reloads replace it.
final class CredentialStore: Sendable {
    private let credentials: Guarded<Credentials>

    init(_ table: KeyTable) {
        credentials = Guarded(Credentials(table: table))
    }

    /// The credentials now. One look-up uses one value, however often it is replaced meanwhile.
    var current: Credentials { credentials.withLock { $0 } }

    func replace(_ table: KeyTable) {
        credentials.withLock { $0 = Credentials(table: table, issuer: $0.issuer) }
    }

    func replace(_ issuer: IssuerKeys) {
        credentials.withLock { $0 = Credentials(table: $0.table, issuer: issuer) }
    }
}
