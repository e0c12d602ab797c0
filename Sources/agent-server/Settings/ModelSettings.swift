import LanguageModels

/// The model's server, and the format in which it is asked.
struct ModelSettings: Sendable {
    var upstream: UpstreamConfiguration
    var format = OpenAIChat()
}
