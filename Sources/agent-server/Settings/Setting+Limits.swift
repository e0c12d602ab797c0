import AgentService
import SessionStore

extension Setting {
    static let maximumMessages = SettingDefinition(
        "AGENT_RUNTIME__MAX_MESSAGES", .integer(in: 2...10_000_000), default: LibraryDefaults.store.maximumMessages,
        link: "operations.md#limits-of-a-session", "Messages after which a session accepts no further one.")
    static let maximumHistoryBytes = SettingDefinition(
        "AGENT_RUNTIME__MAX_HISTORY_BYTES", .integer(in: 4096...(1 << 40)), default: LibraryDefaults.store.maximumHistoryBytes,
        "Bytes that a session's history may have, the new message included.")
    static let historyBytesInFlight = SettingDefinition(
        "AGENT_RUNTIME__HISTORY_BYTES_IN_FLIGHT", .integer(in: (1 << 20)...(1 << 40)),
        default: LibraryDefaults.turns.historyBytesInFlight, link: "operations.md#memory",
        """
        Bytes of histories, and of requests to the model that the server writes from them, that this replica holds at the \
        same time. Further steps wait for room.
        """)
    static let bodyBytesInFlight = SettingDefinition(
        "AGENT_RUNTIME__BODY_BYTES_IN_FLIGHT", .integer(in: (1 << 20)...(1 << 40)), default: 64 << 20,
        """
        Bytes of request bodies that this replica holds at the same time, while it reads them or until it accepts their \
        messages. At least `AGENT_RUNTIME__BODY_LIMIT`.
        """)
    static let bodyLimit = SettingDefinition(
        "AGENT_RUNTIME__BODY_LIMIT", .integer(in: 1024...(1 << 30)), default: 4 << 20, "Bytes that a request's body may have.")
    static let answerLimit = SettingDefinition(
        "AGENT_RUNTIME__ANSWER_LIMIT", .integer(in: 1024...(1 << 28)), default: LibraryDefaults.turns.maximumAnswerBytes,
        "Bytes that the model may write in one step, arguments of calls included.")
    static let clientBacklog = SettingDefinition(
        "AGENT_RUNTIME__CLIENT_BACKLOG", .integer(in: 4096...(1 << 30)), default: 1 << 20,
        "Bytes that a client may fall behind before the server cuts it off.")

    static let limits = Group(
        title: "Limits",
        entries: [
            maximumMessages, maximumHistoryBytes, historyBytesInFlight, bodyBytesInFlight, bodyLimit, answerLimit, clientBacklog,
        ])

    // MARK: Of each account

    static let limitStreams = SettingDefinition(
        "AGENT_RUNTIME__LIMIT_STREAMS", .integer(in: 0...1_000_000), default: 0, link: "limits.md",
        "Steps of one account that may run at the same time, over all replicas; 0 for no limit.")
    static let limitRequests = SettingDefinition(
        "AGENT_RUNTIME__LIMIT_REQUESTS_PER_MINUTE", .integer(in: 0...1_000_000), default: 0,
        "Requests of one account that may begin a step, per minute; 0 for no limit.")
    static let limitTokens = SettingDefinition(
        "AGENT_RUNTIME__LIMIT_TOKENS_PER_MINUTE", .integer(in: 0...1_000_000_000), default: 0,
        "Tokens that models may read and write for one account, per minute; 0 for no limit.")
    static let limitDailyTokens = SettingDefinition(
        "AGENT_RUNTIME__LIMIT_TOKENS_PER_DAY", .integer(in: 0...1_000_000_000_000), default: 0,
        "The same per day of UTC; 0 for no limit.")
    static let tokenReserve = SettingDefinition(
        "AGENT_RUNTIME__TOKEN_RESERVE", .integer(in: 0...10_000_000), default: LibraryDefaults.store.tokenReserve,
        "Tokens that a step takes from the two limits above when it begins, until its own are counted.")

    static let accountLimits = Group(
        title: "Limits of each account",
        entries: [limitStreams, limitRequests, limitTokens, limitDailyTokens, tokenReserve])
}
