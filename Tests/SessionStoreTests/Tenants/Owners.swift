import RedisClient
import TestSupport

@testable import SessionStore

/// Users and tenants for tests of owners.
enum Users {
    static let alice = subject("alice@example.com")
    /// Its name in keys has escapes.
    static let bob = subject("böb {x}/*")
    static let acme = tenant("acme")

    static func subject(_ text: String) -> Requester {
        guard let subject = Subject(text) else { preconditionFailure("\(text) must be a subject") }
        return .subject(subject)
    }

    static func tenant(_ text: String) -> TenantID {
        guard let tenant = TenantID(text) else { preconditionFailure("\(text) must be a tenant") }
        return tenant
    }
}

extension SessionID {
    static func unique(in tenant: TenantID) -> SessionID {
        guard let session = SessionID(unique().text, tenant: tenant) else { preconditionFailure("a unique id must be an id") }
        return session
    }
}

extension RedisSessionStore {
    /// Begins a step in a user's name and expects to get the lease.
    func started(_ begin: BeginStep, as requester: Requester) async throws -> StepLease {
        let outcome = try await self.begin(begin, as: requester)
        guard case .started(let step) = outcome else { throw NotStarted(outcome: outcome) }
        return step.lease
    }

    /// Runs a turn of one step.
    @discardableResult
    func turn(_ text: String = "hello", in session: SessionID, as requester: Requester, calls: [String] = []) async throws -> StepLease {
        let lease = try await started(.user(text, in: session), as: requester)
        _ = try await commit(StepCommit(lease, calls: calls, events: .tokens("hi")))
        return lease
    }

    /// The ids of the sessions that a requester's list has.
    func listed(_ tenant: TenantID = .standard, as requester: Requester) async throws -> Set<String> {
        Set(try await list(tenant, after: nil, limit: 500, as: requester).sessions.map(\.session.text))
    }
}

extension RedisServer {
    /// Creates a store that writes owners.
    func ownersStore(
        replica: String = "replica-1", lease: Duration = .seconds(3), _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        try await store(replica: replica, lease: lease) { configuration in
            configuration.layout = RedisLayout.owners
            change(&configuration)
        }
    }
}
