import AgentService
import SessionStore

extension AgentRoutes {
    /// Sets the parts of a turn that depend on the request's credential: the accounts that the step
    /// counts for, and the greatest age of the session.
    func apply(_ principal: Principal, to turn: inout TurnRequest) {
        turn.accounts = principal.accounts
        turn.maximumAge = access.store.current.table.policy(of: principal.tenant).sessionMaxAge
    }
}
