import Testing

@testable import LanguageModels

@Suite("Endpoint URLs")
struct EndpointURLTests {
    @Test(
        "A base URL in any printed form leads to its chat completions",
        arguments: [
            ("https://h", "https://h/v1/chat/completions"), ("https://h//", "https://h/v1/chat/completions"),
            ("https://h/api", "https://h/api/v1/chat/completions"), ("https://h/v1", "https://h/v1/chat/completions"),
            ("https://h/api/v1//", "https://h/api/v1/chat/completions"), ("https://h/v11", "https://h/v11/chat/completions"),
            ("https://h/v1beta/openai/", "https://h/v1beta/openai/chat/completions"),
            ("https://h/v1/openai", "https://h/v1/openai/chat/completions"), ("https://h/OpenAI", "https://h/OpenAI/chat/completions"),
            ("https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions"), ("https://h/api/v3", "https://h/api/v3/chat/completions"),
            ("https://h/compatible-mode/v1", "https://h/compatible-mode/v1/chat/completions"),
            ("https://h/v1/chat/completions", "https://h/v1/chat/completions"),
            ("https://h/chat/completions/", "https://h/chat/completions"),
            ("https://h/openai/deployments/d?api-version=1", "https://h/openai/deployments/d/chat/completions?api-version=1"),
            ("https://h?a=/v9/&b=c", "https://h/v1/chat/completions?a=/v9/&b=c"), ("https://h/?a=b", "https://h/v1/chat/completions?a=b"),
            ("https://h/v1/chat/completions?a=b", "https://h/v1/chat/completions?a=b"),
            ("https://h/v1#top", "https://h/v1/chat/completions"),
            // Neither a host nor a word that only begins so is a version.
            ("https://openai/api", "https://openai/api/v1/chat/completions"), ("https://v1", "https://v1/v1/chat/completions"),
            ("https://h/vllm", "https://h/vllm/v1/chat/completions"), ("https://h/my-openai", "https://h/my-openai/v1/chat/completions"),
        ]
    )
    func chatCompletionsAreFound(base: String, endpoint: String) {
        #expect(OpenAIChat().url(base: base) == endpoint)
    }
}
