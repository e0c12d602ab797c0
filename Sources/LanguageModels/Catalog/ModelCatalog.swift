/// The models that turns may name: for each, who serves it and under which name. One per process.
///
/// There is one server for now, which gets every name as it is.
public struct ModelCatalog: Sendable {
    /// A model as a request reaches it.
    public struct Model: Sendable {
        /// The server's name in the catalog.
        public let provider: String
        /// The model's name as its server knows it.
        public let upstreamName: String
        /// What sends the requests.
        public let server: any LanguageModel

        /// The name under which the model's reasoning is stored: only this model gets it back.
        public var author: String { ModelCatalog.author(provider: provider, model: upstreamName) }
    }

    /// The name of the one server.
    public static let onlyProvider = "default"

    /// The model of turns that name none.
    public let defaultModel: String
    private let server: any LanguageModel

    /// - Parameters:
    ///   - server: Sends the requests.
    ///   - defaultModel: The model of turns that name none.
    public init(server: any LanguageModel, defaultModel: String) {
        self.server = server
        self.defaultModel = defaultModel
    }

    /// Returns the model that a turn names; the default one for nil.
    public func model(named name: String?) -> Model {
        Model(provider: Self.onlyProvider, upstreamName: name ?? defaultModel, server: server)
    }

    static func author(provider: String, model: String) -> String { "\(provider)/\(model)" }
}
