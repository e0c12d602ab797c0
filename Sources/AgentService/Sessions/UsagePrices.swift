public import LanguageModels

/// The prices of models. Without prices no cost is counted.
public protocol UsagePrices: Sendable {
    /// Returns the price of a step's tokens in millionths of a currency unit, ≥ 0. It is added to
    /// what the step's accounts have cost on that day.
    ///
    /// - Parameters:
    ///   - usage: The tokens, as the model counted them.
    ///   - provider: The catalog's name of the model's server.
    ///   - model: The model's name as its server knows it.
    func cost(of usage: TokenUsage, provider: String, model: String) -> Int
}
