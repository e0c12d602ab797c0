/// A server of models that a scripted model can pass for. It sends what that server sends, and refuses what that server refuses.
public enum Personality: String, CaseIterable, Sendable {
    /// OpenAI's format and nothing else.
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

    /// Picks one for a seed; each seed picks the same one every time.
    public static func picked(by seed: UInt64) -> Personality { allCases[Int(seed % UInt64(allCases.count))] }

    // MARK: How it is reached

    /// What `AGENT_RUNTIME__LLM_PROXY_URL` is set to.
    ///
    /// - Parameter server: `http`, host and port.
    public func baseURL(at server: String) -> String {
        switch self {
        case .gemini: "\(server)/v1beta/openai"
        case .openrouter: "\(server)/api/v1"
        case .azure: "\(server)/openai/deployments/test?api-version=\(Azure.version)"
        case .deepseek, .deepseekR1, .plain: server
        case .gpt, .kimi, .mistral, .ollama, .vllm: "\(server)/v1"
        }
    }

    /// The other settings that `agent-server` needs for it.
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

    // MARK: What it does

    /// Says why a request is refused; nil where it is taken.
    public func refusal(of request: UpstreamRequest) -> Refusal? {
        guard dialect.isReached(at: request.path) else { return Refusal("there is nothing at \(request.path)", status: 404) }
        return dialect.refusal(of: request) ?? dialect.rules.refusal(of: request) ?? dialect.replayRefusal(of: request.messages)
    }

    /// Writes a completion as the server would send it.
    public func answer(_ completion: ScriptedCompletion, to request: UpstreamRequest) -> UpstreamAnswer {
        dialect.answer(completion, to: request)
    }

    func answer(_ refusal: Refusal) -> UpstreamAnswer { dialect.answer(refusal) }

    /// Says which reasoning, of all that was sent with a request's messages, did not come back byte for byte; nil where all did, or
    /// where there is none. Servers themselves are not so strict.
    public func lostReasoning(in request: UpstreamRequest) -> String? {
        dialect.replayRefusal(of: request.messages, isStrict: true)?.message
    }
}
