extension Setting {
    static let host = SettingDefinition(
        "HOST", flag: "--host", .string, default: "127.0.0.1",
        "Address to listen on; only a loopback address without credentials (see Access).")
    static let port = SettingDefinition(
        "PORT", flag: "--port", .integer(in: 0...65535), default: 8001, "Port to listen on; 0 picks a free one.")
    static let replica = SettingDefinition(
        "AGENT_RUNTIME__REPLICA", .string, absent: "the host's name and the port",
        "This replica's name. Replicas on the same Redis need different names.")
    static let version = SettingDefinition(
        "AGENT_RUNTIME__VERSION", .string, absent: "the build's", "Version that `/health` shows.")
    static let drain = SettingDefinition(
        "AGENT_RUNTIME__DRAIN_SECONDS", .seconds(in: 0...86400), default: .seconds(30),
        "How long running steps may go on after SIGTERM. The replica then releases them to other replicas.")
    static let drainNotice = SettingDefinition(
        "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS", .seconds(in: 0...600), default: .seconds(2),
        """
        How long at least the port responds with 503 `draining` after SIGTERM before it closes, so that load balancers \
        notice. A part of `AGENT_RUNTIME__DRAIN_SECONDS`, and never longer.
        """)
    static let idleTimeout = SettingDefinition(
        "AGENT_RUNTIME__IDLE_TIMEOUT_SECONDS", .seconds(in: 1...86400), default: .seconds(75),
        "How long a connection may be silent between requests, and how long a request's body may take to arrive.")
    static let keepAlive = SettingDefinition(
        "AGENT_RUNTIME__KEEP_ALIVE_SECONDS", .seconds(in: 1...3600), default: .seconds(15),
        "Silence on a stream before the server sends a comment line.")
    static let strictSettings = SettingDefinition(
        "AGENT_RUNTIME__STRICT_SETTINGS", .boolean, default: false,
        """
        `true` stops the start (exit code 64) when a variable begins with `AGENT_RUNTIME__` and is not a setting. \
        Otherwise the server starts and logs a warning with the nearest name.
        """)

    static let server = Group(
        title: "Server",
        entries: [
            host, port, replica, version, drain, drainNotice, idleTimeout, keepAlive, strictSettings,
        ])
}
