/// One setting: an environment variable, for some with a flag.
struct Setting: Sendable {
    let name: String
    var flag: String?
    /// As `--help` shows it.
    let defaultText: String
    let help: String
    var isSecret = false

    /// For a secret: the variable that names a file which holds it.
    var fileVariable: String? { isSecret ? "\(name)_FILE" : nil }

    /// The components of its swift-configuration key: `AGENT_RUNTIME__LLM_MODEL` is `agent.runtime_.llm.model`.
    var keyComponents: [String] {
        let prefix = "AGENT_RUNTIME__"
        guard name.hasPrefix(prefix) else { return [name.lowercased()] }
        return ["agent", "runtime_"] + name.dropFirst(prefix.count).lowercased().split(separator: "_").map(String.init)
    }
}

/// Every setting of the server, in the order of `--help`.
extension Setting {
    static let host = Setting(name: "HOST", flag: "--host", defaultText: "127.0.0.1", help: "Address to listen on.")
    static let port = Setting(name: "PORT", flag: "--port", defaultText: "8001", help: "Port to listen on; 0 picks a free one.")
    static let redisURL = Setting(
        name: "AGENT_RUNTIME__REDIS_URL", flag: "--redis-url", defaultText: "embedded",
        help: """
            redis://[user:pass@]host:port/db, redis-sentinel://[user:pass@]host:port,host:port/NAME, \
            redis-cluster://[user:pass@]host:port,host:port, each as rediss… for TLS, or unix:///path/redis.sock. \
            Absent: a private redis-server.
            """, isSecret: true)
    static let sentinelUsername = Setting(
        name: "AGENT_RUNTIME__SENTINEL_USERNAME", defaultText: "none", help: "The sentinels' own user, where they have users.")
    static let sentinelPassword = Setting(
        name: "AGENT_RUNTIME__SENTINEL_PASSWORD", defaultText: "none", help: "The sentinels' own password.", isSecret: true)
    static let redisCAFile = Setting(
        name: "AGENT_RUNTIME__REDIS_CA_FILE", defaultText: "the system's", help: "Certificates to trust for rediss://, PEM.")
    static let redisCertificateFile = Setting(
        name: "AGENT_RUNTIME__REDIS_CERT_FILE", defaultText: "none", help: "Client certificate for rediss://, with its chain, PEM.")
    static let redisKeyFile = Setting(
        name: "AGENT_RUNTIME__REDIS_KEY_FILE", defaultText: "none", help: "The private key of AGENT_RUNTIME__REDIS_CERT_FILE, PEM.")
    static let redisTimeout = Setting(
        name: "AGENT_RUNTIME__REDIS_TIMEOUT_MS", defaultText: "2000", help: "How long Redis may take to answer a command.")
    static let redisMaxInFlight = Setting(
        name: "AGENT_RUNTIME__REDIS_MAX_IN_FLIGHT", defaultText: "65536", help: "Commands under way on one connection.")
    static let ackReplicas = Setting(
        name: "AGENT_RUNTIME__ACK_REPLICAS", defaultText: "0",
        help: "How many of Redis's replicas must have what a client is told; see docs/operations.md.")
    static let allowEviction = Setting(
        name: "AGENT_RUNTIME__ALLOW_EVICTION", defaultText: "false", help: "true starts on a Redis that may evict sessions, with a warning."
    )
    static let maximumMessages = Setting(
        name: "AGENT_RUNTIME__MAX_MESSAGES", defaultText: "100000", help: "Messages after which a session takes nothing more.")
    static let maximumHistoryBytes = Setting(
        name: "AGENT_RUNTIME__MAX_HISTORY_BYTES", defaultText: "33554432", help: "Bytes that a session's history may have.")
    static let historyBytesInFlight = Setting(
        name: "AGENT_RUNTIME__HISTORY_BYTES_IN_FLIGHT", defaultText: "134217728",
        help: "Bytes of histories that are held at the same time; steps wait for room.")
    static let bodyBytesInFlight = Setting(
        name: "AGENT_RUNTIME__BODY_BYTES_IN_FLIGHT", defaultText: "67108864",
        help: "Bytes of request bodies that are held at the same time.")
    static let dataDirectory = Setting(
        name: "AGENT_RUNTIME__DATA_DIR", defaultText: "./.agent-runtime", help: "Where the private redis-server keeps its files.")
    static let llmURL = Setting(
        name: "AGENT_RUNTIME__LLM_PROXY_URL", flag: "--llm-url", defaultText: "scripted",
        help: """
            Base URL of an OpenAI-compatible server, as its provider gives it; /chat/completions is appended, after /v1 where the path \
            names no version. Absent: the scripted model.
            """)
    static let llmModel = Setting(
        name: "AGENT_RUNTIME__LLM_MODEL", flag: "--llm-model", defaultText: "scripted", help: "The model's name.")
    static let llmAPIKey = Setting(
        name: "AGENT_RUNTIME__LLM_API_KEY", defaultText: "none", help: "Sent to the LLM as a bearer token.", isSecret: true)
    static let llmStream = Setting(
        name: "AGENT_RUNTIME__LLM_STREAM", defaultText: "true", help: "false asks the LLM for whole answers.")
    static let llmParameters = Setting(
        name: "AGENT_RUNTIME__LLM_PARAMETERS", defaultText: "none",
        help: "A JSON object whose members are added to each request to the LLM, such as {\"reasoning_effort\":\"low\"}.")
    static let llmStreamOptions = Setting(
        name: "AGENT_RUNTIME__LLM_STREAM_OPTIONS", defaultText: "auto",
        help: "Whether streamed requests have stream_options: true, false, or auto, until the LLM's server refuses them.")
    static let llmSystemRole = Setting(
        name: "AGENT_RUNTIME__LLM_SYSTEM_ROLE", defaultText: "system", help: "The system prompt's role as it is sent: system or developer.")
    static let llmToolNames = Setting(
        name: "AGENT_RUNTIME__LLM_TOOL_NAMES", defaultText: "false", help: "true sends the tool's name with each result.")
    static let llmStrictTurns = Setting(
        name: "AGENT_RUNTIME__LLM_STRICT_TURNS", defaultText: "auto",
        help: """
            Whether an assistant message is sent between a tool's result and a user's message: true, false, or auto, once the LLM's \
            server has refused a conversation without.
            """)
    static let llmIdleTimeout = Setting(
        name: "AGENT_RUNTIME__LLM_IDLE_TIMEOUT_MS", defaultText: "60000", help: "Silence of the LLM before llm_timeout.")
    static let llmTimeout = Setting(
        name: "AGENT_RUNTIME__LLM_TIMEOUT_MS", defaultText: "600000", help: "A whole generation before llm_timeout.")
    static let llmInternalAuth = Setting(
        name: "AGENT_RUNTIME__LLM_INTERNAL_AUTH", defaultText: "none where AGENT_RUNTIME__LLM_API_KEY is set, else internal",
        help: "What the LLM's server gets as X-Internal-Auth: internal (the clients' key), none, or key:TEXT.", isSecret: true)
    static let llmCAFile = Setting(
        name: "AGENT_RUNTIME__LLM_CA_FILE", defaultText: "the system's", help: "Certificates to trust for the LLM's https://, PEM.")
    static let llmCertificateFile = Setting(
        name: "AGENT_RUNTIME__LLM_CERT_FILE", defaultText: "none", help: "Client certificate for the LLM's server, with its chain, PEM.")
    static let llmKeyFile = Setting(
        name: "AGENT_RUNTIME__LLM_KEY_FILE", defaultText: "none", help: "The private key of AGENT_RUNTIME__LLM_CERT_FILE, PEM.")
    static let llmReasoning = Setting(
        name: "AGENT_RUNTIME__LLM_REASONING", defaultText: "all",
        help: "Which of a model's earlier reasoning goes back to it: all, loop (since the last user message) or none.")
    static let llmReasoningRequired = Setting(
        name: "AGENT_RUNTIME__LLM_REASONING_REQUIRED", defaultText: "false",
        help: "true sends an empty reasoning_content with each answer that has no reasoning to send.")
    static let llmReasoningShow = Setting(
        name: "AGENT_RUNTIME__LLM_REASONING_SHOW", defaultText: "false",
        help: "true streams the model's reasoning to clients, as messages of the type reasoning.")
    static let internalAPIKey = Setting(
        name: "AGENT_RUNTIME__INTERNAL_API_KEY", defaultText: "none",
        help: "What clients must send. Absent: requests are open, and only loopback is bound.", isSecret: true)
    static let allowedHosts = Setting(
        name: "AGENT_RUNTIME__ALLOWED_HOSTS", defaultText: "none",
        help: "Without a key: names beside loopback's that requests may name in Host and Origin, separated by commas.")
    static let systemPromptFile = Setting(
        name: "AGENT_RUNTIME__SYSTEM_PROMPT_FILE", defaultText: "built in", help: "Text of the system prompt; an empty file for none.")
    static let toolsFile = Setting(
        name: "AGENT_RUNTIME__TOOLS_FILE", defaultText: "built in: read_file, echo", help: "Tool schemas, a JSON array in OpenAI form.")
    static let replica = Setting(
        name: "AGENT_RUNTIME__REPLICA", defaultText: "the host's name and the port", help: "This replica's name.")
    static let lease = Setting(
        name: "AGENT_RUNTIME__LEASE_MS", defaultText: "3000", help: "A replica that is silent for this long has lost its step.")
    static let sessionTTL = Setting(
        name: "AGENT_RUNTIME__SESSION_TTL", defaultText: "none", help: "Seconds without a write after which a session expires.")
    static let drain = Setting(
        name: "AGENT_RUNTIME__DRAIN_SECONDS", defaultText: "30", help: "How long running steps may go on after SIGTERM.")
    static let drainNotice = Setting(
        name: "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS", defaultText: "2",
        help: "How long after SIGTERM the port answers 503 at least, so that load balancers notice. Part of the drain.")
    static let wait = Setting(
        name: "AGENT_RUNTIME__WAIT_SECONDS", defaultText: "30",
        help: "How long a message with on_conflict wait may wait for a running step, and any for room for its history.")
    static let keepAlive = Setting(
        name: "AGENT_RUNTIME__KEEP_ALIVE_SECONDS", defaultText: "15", help: "Silence on a stream before a comment is sent.")
    static let followTick = Setting(
        name: "AGENT_RUNTIME__FOLLOW_TICK_MS", defaultText: "1000",
        help: "How often a stream that follows a step looks at its log where nothing wakes it.")
    static let bodyLimit = Setting(
        name: "AGENT_RUNTIME__BODY_LIMIT", defaultText: "4194304", help: "Bytes of a request's body.")
    static let answerLimit = Setting(
        name: "AGENT_RUNTIME__ANSWER_LIMIT", defaultText: "4194304", help: "Bytes that one generation may say.")
    static let clientBacklog = Setting(
        name: "AGENT_RUNTIME__CLIENT_BACKLOG", defaultText: "1048576", help: "Bytes that a client may fall behind before it is cut off.")
    static let maximumSteps = Setting(
        name: "AGENT_RUNTIME__MAX_STEPS", defaultText: "20000", help: "Streams that run on this replica at the same time.")
    static let idleTimeout = Setting(
        name: "AGENT_RUNTIME__IDLE_TIMEOUT_SECONDS", defaultText: "75",
        help: "How long a connection may be open between requests, or a request may take to arrive.")
    static let logLevel = Setting(
        name: "AGENT_RUNTIME__LOG_LEVEL", defaultText: "info", help: "trace, debug, info, notice, warning, error or critical.")
    static let logFormat = Setting(name: "AGENT_RUNTIME__LOG_FORMAT", defaultText: "text", help: "text or json.")
    static let logQueue = Setting(
        name: "AGENT_RUNTIME__LOG_QUEUE", defaultText: "8192",
        help: "Log lines that may wait to be written; more are dropped and counted.")
    static let version = Setting(
        name: "AGENT_RUNTIME__VERSION", defaultText: "the build's", help: "Shown by /health.")

    static let all: [Setting] = [
        host, port, redisURL, sentinelUsername, sentinelPassword, redisCAFile, redisCertificateFile, redisKeyFile, redisTimeout,
        redisMaxInFlight, ackReplicas, allowEviction,
        maximumMessages, maximumHistoryBytes, historyBytesInFlight, bodyBytesInFlight, dataDirectory, llmURL, llmModel, llmAPIKey,
        llmInternalAuth, llmCAFile, llmCertificateFile, llmKeyFile, llmStream, llmParameters, llmStreamOptions, llmSystemRole,
        llmToolNames, llmStrictTurns, llmReasoning, llmReasoningRequired, llmReasoningShow,
        llmIdleTimeout, llmTimeout, internalAPIKey, allowedHosts, systemPromptFile, toolsFile, replica, lease, sessionTTL, drain,
        drainNotice, wait, keepAlive,
        followTick,
        bodyLimit, answerLimit, clientBacklog, maximumSteps, idleTimeout, logLevel, logFormat, logQueue, version,
    ]

    /// The list that `--help` shows.
    static var overview: String {
        all.map { setting in
            let flag = setting.flag.map { " (\($0))" } ?? ""
            let file = setting.fileVariable.map { " Or \($0), the path of a file with the value." } ?? ""
            return "\(setting.name)\(flag)\n    \(setting.help)\(file) Default: \(setting.defaultText)."
        }.joined(separator: "\n")
    }
}
