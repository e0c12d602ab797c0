import Testing

@testable import agent_server

@Suite("Lists of allowed origins") struct AllowedOriginsTests {
    @Test("Origins are read as browsers write them")
    func reading() throws {
        let list = try #require(
            AllowedOrigins("https://App.Example, http://localhost:3000,https://a.example:443, http://[::1]:80,chrome-extension://abcdef"))
        #expect(
            list.list == [
                "https://app.example", "http://localhost:3000", "https://a.example", "http://[::1]", "chrome-extension://abcdef",
            ])
        #expect(!list.isAny && AllowedOrigins(" * ")?.isAny == true)
    }

    @Test(
        "What is not an origin is refused",
        arguments: [
            "app.example", "https://", "https://app.example/", "https://app.example/path", "https://a b", "https://*.example", "null",
            "https://a.example,*", "*,https://a.example", "://a.example", "1http://a.example", "https://u@a.example", "https://a.example:x",
            "https://a.example,app",
        ])
    func refused(_ text: String) {
        #expect(AllowedOrigins(text) == nil)
    }

    @Test("Only an equal origin is allowed")
    func equality() throws {
        let list = try #require(AllowedOrigins("https://app.example"))
        #expect(list.allow("https://app.example"))
        for other in [
            nil, "", "null", "http://app.example", "https://app.example:8443", "https://app.example.evil.com", "https://evil.app.example",
            "https://APP.example", "https://app.example/", "*",
        ] as [String?] {
            #expect(!list.allow(other), "\(other ?? "none")")
        }
        #expect(AllowedOrigins.any.allow("null") && !AllowedOrigins.any.allow(nil))
        #expect(AllowedOrigins.empty.isEmpty && !AllowedOrigins.empty.allow("https://app.example") && !AllowedOrigins.any.isEmpty)
    }
}
