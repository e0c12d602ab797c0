import Testing

@testable import LanguageModels

@Suite("The catalog of models")
struct ModelCatalogTests {
    @Test("A name goes to the one server as it is; a turn without a name gets the default model")
    func names() {
        let catalog = ModelCatalog(server: ScriptedModel(tokenDelay: .zero), defaultModel: "small")
        #expect(catalog.model(named: nil).upstreamName == "small")
        #expect(catalog.model(named: "any/other").upstreamName == "any/other")
        #expect(catalog.model(named: "other").server is ScriptedModel)
    }

    @Test("Reasoning is stored under the server's and the model's name")
    func authors() {
        let model = ModelCatalog(server: ScriptedModel(), defaultModel: "m").model(named: nil)
        #expect(model.author == "default/m")
        #expect(LLMRequest(model: model.upstreamName, provider: model.provider, messages: []).author == model.author)
    }
}
