import AgentService
import SessionStore

extension Setting {
    static let lease = SettingDefinition(
        "AGENT_RUNTIME__LEASE_MS", .milliseconds(in: 100...600_000), default: LibraryDefaults.store.lease,
        link: "failover.md",
        """
        How long a step's lease lasts. A replica that is silent for this long loses its step to another one. The server \
        warns of less than one and a half times `AGENT_RUNTIME__REDIS_TIMEOUT_MS`.
        """)
    static let sessionTTL = SettingDefinition(
        "AGENT_RUNTIME__SESSION_TTL", .seconds(in: 1...1_000_000_000),
        "Seconds without a write after which a session expires; at least twice the lease.")
    static let sessionMaximumAge = SettingDefinition(
        "AGENT_RUNTIME__SESSION_MAX_AGE", .seconds(in: 60...1_000_000_000), link: "sessions.md#retention",
        "Seconds after a session's creation at which it ends, whether it is used or not.")
    static let wait = SettingDefinition(
        "AGENT_RUNTIME__WAIT_SECONDS", .seconds(in: 0...3600), default: LibraryDefaults.turns.wait,
        """
        How long a message with `on_conflict` `wait` or `interrupt` may wait for the running step, and any message for room \
        for its history.
        """)
    static let followTick = SettingDefinition(
        "AGENT_RUNTIME__FOLLOW_TICK_MS", .milliseconds(in: 10...60_000), default: LibraryDefaults.turns.followTick,
        "How often a stream that follows a step polls its log when nothing wakes it.")
    static let maximumSteps = SettingDefinition(
        "AGENT_RUNTIME__MAX_STEPS", .integer(in: 1...1_000_000), default: 20_000,
        """
        Streams that may be open on this replica at the same time, viewers and messages that wait included. The limit does \
        not refuse cancels.
        """)

    static let steps = Group(title: "Steps and sessions", entries: [lease, sessionTTL, sessionMaximumAge, wait, followTick, maximumSteps])
}
