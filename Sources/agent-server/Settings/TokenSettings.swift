/// The issuer of tokens, and the tokens that are accepted.
struct TokenSettings: Sendable {
    /// Where the issuer's keys come from.
    enum Keys: Sendable, Equatable {
        case url(String)
        case file(String)
    }

    var rules: TokenRules
    var keys: Keys
}

extension Settings {
    /// Reads the settings of tokens; nil without an issuer.
    static func tokens(_ reader: SettingsReader) throws(SettingsError) -> TokenSettings? {
        let issuer = try reader.value(Setting.tokenIssuer)
        let audience = try reader.value(Setting.tokenAudience)
        let url = try reader.value(Setting.tokenKeysURL)
        let file = try reader.value(Setting.tokenKeysFile)
        let tenantClaim = try reader.value(Setting.tokenTenantClaim)
        guard let issuer else {
            let others: [(any SettingEntry, Bool)] = [
                (Setting.tokenAudience, audience != nil), (Setting.tokenKeysURL, url != nil), (Setting.tokenKeysFile, file != nil),
                (Setting.tokenTenantClaim, tenantClaim != nil),
            ]
            if let (setting, _) = others.first(where: \.1) { throw SettingsError(setting, "needs \(Setting.tokenIssuer.name)") }
            return nil
        }
        guard let audience else { throw SettingsError(Setting.tokenIssuer, "needs \(Setting.tokenAudience.name)") }
        let keys: TokenSettings.Keys
        switch (url, file) {
        case (let url?, nil): keys = .url(url)
        case (nil, let file?): keys = .file(file)
        case (nil, nil), (.some, .some):
            throw SettingsError(Setting.tokenIssuer, "needs either \(Setting.tokenKeysURL.name) or \(Setting.tokenKeysFile.name)")
        }
        var rules = TokenRules(issuer: issuer, audience: audience)
        rules.tenantClaim = tenantClaim
        rules.subjectClaim = try reader.value(Setting.tokenSubjectClaim)
        rules.scopeClaim = try reader.value(Setting.tokenScopeClaim)
        rules.leeway = try reader.value(Setting.tokenLeeway)
        return TokenSettings(rules: rules, keys: keys)
    }
}
