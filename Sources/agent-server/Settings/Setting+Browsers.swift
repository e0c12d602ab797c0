extension Setting {
    static let corsOrigins = SettingDefinition(
        "AGENT_RUNTIME__CORS_ORIGINS", .origins, default: .empty, link: "security.md#browsers",
        """
        Origins of web pages on other hosts that may use the server, separated by commas, each as browsers write it: \
        `https://app.example`. `*` allows every page, and only a server without credentials accepts it.
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
