/// A model server that a scripted model imitates: it sends what that server sends, and refuses what
/// that server refuses.
public enum Personality: String, CaseIterable, Sendable {
    /// OpenAI's format without additions.
    case plain
    case deepseek
    /// DeepSeek's first thinking models.
    case deepseekR1 = "deepseek-r1"
    case kimi
    case gemini
    case gpt = "gpt-5.6"
    case openrouter
    case mistral
    case vllm
    case ollama
    case azure

    var dialect: any Dialect {
        switch self {
        case .plain: Plain()
        case .deepseek: ReasoningContent.deepSeek
        case .deepseekR1: ReasoningContent.deepSeekR1
        case .kimi: ReasoningContent.kimi
        case .gemini: Gemini()
        case .gpt: GPT()
        case .openrouter: OpenRouter()
        case .mistral: Mistral()
        case .vllm: VLLM()
        case .ollama: Ollama()
        case .azure: Azure()
        }
    }

    /// Picks a personality; the same seed always picks the same one.
    public static func picked(by seed: UInt64) -> Personality { allCases[Int(seed % UInt64(allCases.count))] }

    // MARK: Address and settings

    /// Returns the value of `AGENT_RUNTIME__LLM_PROXY_URL` for a server of this personality.
    ///
    /// - Parameter server: Scheme, host and port, such as `http://127.0.0.1:8080`.
    public func baseURL(at server: String) -> String {
        switch self {
        case .gemini: "\(server)/v1beta/openai"
        case .openrouter: "\(server)/api/v1"
        case .azure: "\(server)/openai/deployments/test?api-version=\(Azure.version)"
        case .deepseek, .deepseekR1, .plain: server
        case .gpt, .kimi, .mistral, .ollama, .vllm: "\(server)/v1"
        }
    }

    /// The other settings that `agent-server` needs for this personality.
    public var settings: [String: String] {
        switch self {
        case .azure, .ollama, .plain, .vllm: [:]
        case .deepseek, .kimi: ["AGENT_RUNTIME__LLM_REASONING_REQUIRED": "true"]
        case .deepseekR1: ["AGENT_RUNTIME__LLM_REASONING": "none"]
        case .gemini: ["AGENT_RUNTIME__LLM_TOOL_NAMES": "true"]
        case .gpt:
            [
                "AGENT_RUNTIME__LLM_PARAMETERS": #"{"reasoning_effort":"none"}"#, "AGENT_RUNTIME__LLM_SYSTEM_ROLE": "developer",
            ]
        case .openrouter: ["AGENT_RUNTIME__LLM_PARAMETERS": #"{"reasoning":{"effort":"medium"}}"#]
        case .mistral: ["AGENT_RUNTIME__LLM_STREAM_OPTIONS": "false", "AGENT_RUNTIME__LLM_STRICT_TURNS": "true"]
        }
    }

    // MARK: Behaviour

    /// Describes why the server refuses a request.
    ///
    /// - Returns: Nil if it accepts the request.
    public func refusal(of request: UpstreamRequest) -> Refusal? {
        guard dialect.isReached(at: request.path) else { return Refusal("nothing exists at \(request.path)", status: 404) }
        return dialect.refusal(of: request) ?? dialect.rules.refusal(of: request) ?? dialect.replayRefusal(of: request.messages)
    }

    /// Encodes a completion as the server would send it.
    public func answer(_ completion: ScriptedCompletion, to request: UpstreamRequest) -> UpstreamAnswer {
        dialect.answer(completion, to: request)
    }

    func answer(_ refusal: Refusal) -> UpstreamAnswer { dialect.answer(refusal) }

    /// Describes the first reasoning that the server sent and that the request does not bring back
    /// byte for byte. This check is stricter than the servers' own.
    ///
    /// - Returns: Nil if all reasoning came back, or if the server sends none.
    public func lostReasoning(in request: UpstreamRequest) -> String? {
        dialect.replayRefusal(of: request.messages, isStrict: true)?.message
    }
}
