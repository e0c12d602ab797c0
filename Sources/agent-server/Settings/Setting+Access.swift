extension Setting {
    static let internalAPIKey = SettingDefinition(
        "AGENT_RUNTIME__INTERNAL_API_KEY", .headerValue, secret: true, link: "http-api.md",
        """
        A key that opens every session of the standard tenant. Without any credential (this key, \
        `AGENT_RUNTIME__KEYS_FILE`, `AGENT_RUNTIME__JWT_ISSUER`) requests are open, and only a loopback address is bound. The \
        server warns of a key with fewer than 16 characters when other machines can connect; beside a keys file it refuses \
        one.
        """)
    static let keysFile = SettingDefinition(
        "AGENT_RUNTIME__KEYS_FILE", .file, link: "security.md#the-keys-file",
        """
        JSON file with the digests of the clients' keys, their tenants, users, scopes and limits. The server reads it again \
        when it changes, and on SIGHUP.
        """)
    static let allowedHosts = SettingDefinition(
        "AGENT_RUNTIME__ALLOWED_HOSTS", .hosts, default: [],
        """
        Names, separated by commas, that requests may have in `Host` and `Origin` beside those of loopback. For a server \
        without credentials.
        """)

    static let access = Group(title: "Access", entries: [internalAPIKey, keysFile, allowedHosts, corsOrigins, ticketKeys])
}

extension SettingFormat<Set<HostName>> {
    /// Names of hosts, separated by commas. A port behind a name is ignored.
    static var hosts: Self {
        Self(
            values: "names, separated by commas",
            text: { $0.isEmpty ? "none" : $0.map(\.text).sorted().joined(separator: ",") }
        ) { list throws(SettingProblem) in
            var hosts: Set<HostName> = []
            for entry in list.split(separator: ",") {
                let text = entry.trimmingSpaces
                guard let host = HostName(authority: text) ?? HostName(text) else {
                    throw SettingProblem("must be names of hosts, separated by commas")
                }
                hosts.insert(host)
            }
            return hosts
        }
    }
}
