import TestSupport

@testable import agent_server

/// A request to an endpoint, and what each caller gets. The switch names every endpoint: a new one
/// does not compile without a row.
struct AccessRow: Sendable {
    /// The response to one caller.
    enum Outcome: Sendable, Equatable {
        /// A response with this status.
        case status(Int)
        /// The response of a session that does not exist.
        case noSession
        /// 403 `forbidden`.
        case forbidden
        /// 200, and nothing of the session in it.
        case nothingOfIt
    }

    var path: String
    var body: JSON?
    /// The key of the caller who may.
    var key = "owner"
    /// What it gets.
    var own: Int
    /// Another user of the tenant.
    var other: Outcome
    /// A user of the same name in another tenant.
    var foreign: Outcome
}

extension Endpoint {
    /// The row for a session of the user `user-1` of the tenant `acme`, with one turn. Nil for
    /// endpoints that need no credential.
    func access(to session: String) -> AccessRow? {
        let path = path.replacing("{session_id}", with: session).replacing("{subject}", with: "user-1")
        let message: JSON = .object(["session_id": .string(session), "message": ["type": "user_message", "content": "x"]])
        switch self {
        case .health, .healthLive, .healthReady:
            return nil
        case .openAPI:
            return AccessRow(path: path, own: 200, other: .status(200), foreign: .status(200))
        case .messageStream:
            // In the other tenant the id is free.
            return AccessRow(path: path, body: message, own: 200, other: .noSession, foreign: .nothingOfIt)
        case .legacyMessage:
            return AccessRow(
                path: path, body: ["role": "user", "content": "x", "session_id": .string(session)], own: 200, other: .noSession,
                foreign: .nothingOfIt)
        case .listSessions:
            return AccessRow(path: path, own: 200, other: .nothingOfIt, foreign: .nothingOfIt)
        case .session, .history, .sessionStream, .ticket:
            return AccessRow(path: path, own: 200, other: .noSession, foreign: .noSession)
        case .cancel:
            return AccessRow(path: path, own: 409, other: .noSession, foreign: .noSession)
        case .rewind:
            return AccessRow(path: path, body: ["history_length": 1], own: 200, other: .noSession, foreign: .noSession)
        case .deleteSession:
            return AccessRow(path: path, own: 204, other: .noSession, foreign: .noSession)
        case .usage:
            // The user of the other tenant asks for its own usage.
            return AccessRow(path: path + "?subject=user-1", own: 200, other: .forbidden, foreign: .nothingOfIt)
        case .eraseSubject:
            return AccessRow(path: path, key: "admin", own: 202, other: .forbidden, foreign: .status(202))
        case .exportSubject:
            return AccessRow(path: path, key: "admin", own: 200, other: .forbidden, foreign: .nothingOfIt)
        }
    }
}
