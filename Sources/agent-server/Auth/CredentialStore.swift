import Locks

/// What opens this replica at one moment. A reload replaces it as a whole.
final class Credentials: Sendable {
    let table: KeyTable

    init(table: KeyTable) {
        self.table = table
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
        credentials.withLock { $0 = Credentials(table: table) }
    }
}
