extension Setting {
    static let tokenIssuer = SettingDefinition(
        "AGENT_RUNTIME__JWT_ISSUER", .oneLine, link: "security.md#tokens",
        """
        The `iss` of tokens that open sessions. Needs `AGENT_RUNTIME__JWT_AUDIENCE`, and the issuer's keys: \
        `AGENT_RUNTIME__JWT_JWKS_URL` or `AGENT_RUNTIME__JWT_JWKS_FILE`.
        """)
    static let tokenAudience = SettingDefinition(
        "AGENT_RUNTIME__JWT_AUDIENCE", .oneLine, "The name of this service in the `aud` of tokens.")
    static let tokenKeysURL = SettingDefinition(
        "AGENT_RUNTIME__JWT_JWKS_URL", .keySetURL,
        """
        Where the issuer publishes its keys (RFC 7517). The server fetches them at the start, every ten minutes, and for a \
        token with an unknown key. It follows no redirection.
        """)
    static let tokenKeysFile = SettingDefinition(
        "AGENT_RUNTIME__JWT_JWKS_FILE", .file,
        "File with the issuer's keys, in place of the URL. The server reads it again when it changes, and on SIGHUP.")
    static let tokenTenantClaim = SettingDefinition(
        "AGENT_RUNTIME__JWT_TENANT_CLAIM", .oneLine, absent: "the standard tenant",
        """
        The claim with the tenant, which each token must have then. A name with dots reaches into objects: `realm.tenant`.
        """)
    static let tokenSubjectClaim = SettingDefinition(
        "AGENT_RUNTIME__JWT_SUBJECT_CLAIM", .oneLine, default: "sub", "The claim with the user.")
    static let tokenScopeClaim = SettingDefinition(
        "AGENT_RUNTIME__JWT_SCOPE_CLAIM", .oneLine, default: "scope",
        "The claim with the scopes: a text with spaces between them, or an array of texts. The server ignores unknown scopes.")
    static let tokenLeeway = SettingDefinition(
        "AGENT_RUNTIME__JWT_LEEWAY_SECONDS", .seconds(in: 0...300), default: .seconds(30),
        "How far the issuer's clock may differ from this one, for `exp` and `nbf`.")

    static let issuer = Group(
        title: "Tokens",
        entries: [
            tokenIssuer, tokenAudience, tokenKeysURL, tokenKeysFile, tokenTenantClaim, tokenSubjectClaim, tokenScopeClaim, tokenLeeway,
        ])
}

extension SettingFormat<String> {
    /// The address of a set of keys. A party that can change the set can make tokens, so it comes
    /// over TLS, or from this machine.
    static var keySetURL: Self {
        Self(values: "`https://…`, or `http://…` on loopback") { url throws(SettingProblem) in
            let authority = url.firstRange(of: "://").map { url[$0.upperBound...].prefix { $0 != "/" && $0 != "?" } } ?? ""
            guard let host = HostName(url: url), !authority.contains("@"), !url.contains("#") else {
                throw SettingProblem("must be a URL without a user and without a fragment")
            }
            guard url.hasPrefix("https://") || (url.hasPrefix("http://") && host.isLoopback) else {
                throw SettingProblem("must begin with https://, or with http:// and the name of a loopback address")
            }
            return url
        }
    }
}
