import Testing

@testable import agent_server

/// At the start, the server names a misspelt setting together with the most similar setting.
@Suite("Unknown settings") struct UnknownSettingTests {
    private func settings(_ environment: [String: String]) throws -> Settings {
        try Settings(SettingsReader(environment: environment))
    }

    @Test(
        "A warning names the variable and the nearest setting",
        arguments: [
            ("AGENT_RUNTIME__LAESE_MS", "AGENT_RUNTIME__LEASE_MS"), ("AGENT_RUNTIME__LEASE", "AGENT_RUNTIME__LEASE_MS"),
            ("AGENT_RUNTIME__REDISURL", "AGENT_RUNTIME__REDIS_URL"), ("AGENT_RUNTIME__LEASE_MS_FILE", "AGENT_RUNTIME__LEASE_MS"),
            ("AGENT_RUNTIME__LLM_API_KEY_FIEL", "AGENT_RUNTIME__LLM_API_KEY_FILE"),
            ("agent_runtime__lease_ms", "AGENT_RUNTIME__LEASE_MS"), ("AGENT_RUNTIME__COLOUR_OF_THE_SKY", nil),
            ("AGENT_RUNTIME__", nil), ("AGENT_RUNTIME__MODEL", "AGENT_RUNTIME__LLM_MODEL"),
            ("AGENT_RUNTIME__TTL", "AGENT_RUNTIME__SESSION_TTL"),
        ] as [(String, String?)])
    func theNearestNameIsFound(_ name: String, nearest: String?) throws {
        let settings = try settings([name: "s3cret"])
        #expect(settings.unknown == [UnknownSetting(name: name, nearest: nearest)])
        #expect(settings.warnings.count == 1 && settings.warnings[0].contains(name))
        #expect(settings.warnings[0].contains(nearest ?? "is not a setting") && !settings.warnings[0].contains("s3cret"))
    }

    @Test("Settings and other variables cause no warning")
    func knownNamesAndOthersAreNot() throws {
        let settings = try settings([
            "AGENT_RUNTIME__LEASE_MS": "1000", "AGENT_RUNTIME__LLM_API_KEY_FILE": "", "PATH": "/bin", "AGENT_RUNTIME_STRICT": "1",
            "AGENT_RUNTIME__REDIS_TIMEOUT_MS": "500",
        ])
        #expect(settings.unknown.isEmpty && settings.warnings.isEmpty)
    }

    @Test(
        "The edit distance counts inserted, deleted, replaced and swapped letters",
        arguments: [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("laese", "lease", 1), ("same", "same", 0)])
    func distances(_ a: String, _ b: String, distance: Int) {
        #expect(EditDistance.between(Array(a), Array(b)) == distance)
    }
}
