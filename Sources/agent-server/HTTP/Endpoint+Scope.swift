extension Endpoint {
    /// What a principal needs to use the endpoint; empty for endpoints that need a credential and
    /// no scope, or not even that (``isOpen(_:)``). Each endpoint is named, so that a new one does
    /// not compile without a scope.
    var requiredScope: Scopes {
        switch self {
        case .health, .healthLive, .healthReady, .openAPI, .usage: []
        case .session, .history, .sessionStream, .ticket: .read
        case .messageStream, .legacyMessage, .rewind: .write
        case .cancel: .cancel
        case .deleteSession: .delete
        case .listSessions: .list
        case .eraseSubject, .exportSubject: .admin
        }
    }
}
