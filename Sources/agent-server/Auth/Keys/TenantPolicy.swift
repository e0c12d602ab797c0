import SessionStore

/// What holds for one tenant.
struct TenantPolicy: Sendable, Equatable {
    /// How long after its creation a session is deleted; nil for what the settings say.
    var sessionMaxAge: Duration?
    /// What each subject of the tenant may use that has no limits of its own; nil for what the
    /// settings say.
    var limits: UsageLimits?
}
