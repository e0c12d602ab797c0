import SessionStore

extension UsageLimits {
    /// The limits of accounts whose keys name no others.
    init(_ reader: SettingsReader) throws(SettingsError) {
        self.init(
            streams: Self.bound(try reader.value(Setting.limitStreams)),
            requestsPerMinute: Self.bound(try reader.value(Setting.limitRequests)),
            tokensPerMinute: Self.bound(try reader.value(Setting.limitTokens)),
            tokensPerDay: Self.bound(try reader.value(Setting.limitDailyTokens)))
    }

    private static func bound(_ value: Int) -> Int? { value > 0 ? value : nil }
}
