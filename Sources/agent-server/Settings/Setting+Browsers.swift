extension Setting {
    static let corsOrigins = SettingDefinition(
        "AGENT_RUNTIME__CORS_ORIGINS", .origins, default: .empty, link: "security.md#browsers",
        """
        Origins of web pages on other hosts that may use the server, separated by commas, each as browsers write it: \
        `https://app.example`. `*` allows every page, and only a server without credentials accepts it.
        """)
    static let ticketKeys = SettingDefinition(
        "AGENT_RUNTIME__TICKET_KEYS", .ticketKeys, secret: true, link: "http-api.md#tickets",
        """
        Keys that sign tickets for streams, separated by commas. The first one signs, all of them verify. The same on all \
        replicas. Without it the server issues no tickets.
        """)
    static let audit = SettingDefinition(
        "AGENT_RUNTIME__AUDIT", .choice, default: AuditLevel.writes, link: "audit.md",
        """
        Which security events leave a line in the log: none (`off`), refusals and changes (`writes`), or reads of others' \
        data as well (`all`).
        """)
}

extension SettingFormat<AllowedOrigins> {
    /// Origins, separated by commas, or `*`.
    static var origins: Self {
        Self(
            values: "origins, separated by commas, or `*`",
            text: { $0.isEmpty ? "none" : $0.isAny ? "`*`" : $0.list.sorted().joined(separator: ",") }
        ) { text throws(SettingProblem) in
            guard let origins = AllowedOrigins(text) else {
                throw SettingProblem("must be origins such as https://app.example, separated by commas, without a path, or *")
            }
            return origins
        }
    }
}

extension SettingFormat<[String]> {
    /// The shortest key: as many bytes as HMAC-SHA256 has (RFC 2104, section 3).
    static let shortestTicketKey = 32

    /// Keys, separated by commas. Errors do not show them.
    static var ticketKeys: Self {
        Self(values: "keys of 32 or more printable ASCII characters, separated by commas") { text throws(SettingProblem) in
            let keys = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingSpaces }
            guard keys.allSatisfy({ $0.utf8.count >= shortestTicketKey && $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } }) else {
                throw SettingProblem(
                    "must be keys of \(shortestTicketKey) or more printable ASCII characters without spaces, separated by commas")
            }
            return keys
        }
    }
}
