import AgentService
import LanguageModels

extension Setting {
    static let llmURL = SettingDefinition(
        "AGENT_RUNTIME__LLM_PROXY_URL", flag: "--llm-url", .httpURL, absent: "the scripted model", link: "models.md",
        """
        Base URL of an OpenAI-compatible server, as its provider gives it. The server appends `/chat/completions` when the \
        path has a segment `openai` or one that begins with `v` and a digit (`/v1`, `/v1beta/openai`, `/api/paas/v4`), \
        otherwise `/v1/chat/completions`. An address that ends in `/chat/completions` stays as it is. A query stays behind \
        the path.
        """)
    static let llmModel = SettingDefinition(
        "AGENT_RUNTIME__LLM_MODEL", flag: "--llm-model", .oneLine, default: "scripted", "The model's name.")
    static let llmStream = SettingDefinition(
        "AGENT_RUNTIME__LLM_STREAM", .boolean, default: LibraryDefaults.model.format.stream,
        "`false` asks the model's server for whole completions.")
    static let llmParameters = SettingDefinition(
        "AGENT_RUNTIME__LLM_PARAMETERS", .requestParameters,
        """
        Members to add to each request to the model, such as `{"reasoning_effort":"low","max_completion_tokens":8000}`. Not \
        `messages`, `model`, `tools`, `stream` and `stream_options`, which the server writes itself.
        """)
    static let llmStreamOptions = SettingDefinition(
        "AGENT_RUNTIME__LLM_STREAM_OPTIONS", .choice, default: LibraryDefaults.model.format.form.streamOptions,
        """
        `true` sends `stream_options` with each streamed request, `false` with none. `auto` sends it until the model's \
        server refuses it (HTTP 400 or 422 that names it): the server then repeats the request without it, and leaves it \
        out until the process ends. Without it some servers do not report `usage`.
        """)
    static let llmSystemRole = SettingDefinition(
        "AGENT_RUNTIME__LLM_SYSTEM_ROLE", .choice, default: LibraryDefaults.model.format.form.systemRole,
        "The system prompt's role in requests to the model. The history keeps `system`.")
    static let llmToolNames = SettingDefinition(
        "AGENT_RUNTIME__LLM_TOOL_NAMES", .boolean, default: LibraryDefaults.model.format.form.toolNames,
        "`true` sends the `name` of its tool with each tool message, for servers that match results by name.")
    static let llmStrictTurns = SettingDefinition(
        "AGENT_RUNTIME__LLM_STRICT_TURNS", .choice, default: LibraryDefaults.model.format.form.strictTurns,
        """
        `true` sends an assistant's message, `(no answer)`, between a tool's message and a user's, `false` never does. \
        Templates in which user and assistant must alternate refuse a user's message after a tool's. `auto` repeats such a \
        request once with the message, and sends it from then on until the process ends.
        """)
    static let llmReasoning = SettingDefinition(
        "AGENT_RUNTIME__LLM_REASONING", .choice, default: LibraryDefaults.model.format.form.reasoning.scope,
        """
        Which of a model's earlier reasoning the server sends back to that model: `all` of it, that since the last user \
        message (`loop`), or `none`. Members of tool calls (`extra_content`) go back in any case.
        """)
    static let llmReasoningRequired = SettingDefinition(
        "AGENT_RUNTIME__LLM_REASONING_REQUIRED", .boolean, default: LibraryDefaults.model.format.form.reasoning.isRequired,
        """
        `true` sends an empty `reasoning_content` with each assistant message that has no reasoning to send (DeepSeek, \
        Kimi). Contradicts `AGENT_RUNTIME__LLM_REASONING=none`.
        """)
    static let llmReasoningShow = SettingDefinition(
        "AGENT_RUNTIME__LLM_REASONING_SHOW", .boolean, default: LibraryDefaults.model.format.showsReasoning,
        "`true` streams the model's reasoning to clients, as messages of the type `reasoning`.")
    static let systemPromptFile = SettingDefinition(
        "AGENT_RUNTIME__SYSTEM_PROMPT_FILE", .file, absent: "built in", "UTF-8 text of the system prompt; an empty file for none.")
    static let toolsFile = SettingDefinition(
        "AGENT_RUNTIME__TOOLS_FILE", .file, absent: "built in: `read_file`, `echo`",
        "Tools to offer when a message brings none: a JSON array of OpenAI tool schemas; `[]` for none.")

    /// What is asked of the model.
    static let model = Group(
        title: "Model",
        entries: [
            llmURL, llmModel, llmStream, llmParameters, llmStreamOptions, llmSystemRole, llmToolNames, llmStrictTurns,
            llmReasoning, llmReasoningRequired, llmReasoningShow, systemPromptFile, toolsFile,
        ])
}

extension SettingFormat<String> {
    static var httpURL: Self {
        Self(values: "`http://…` or `https://…`") { url throws(SettingProblem) in
            guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
                throw SettingProblem("must begin with http:// or https://")
            }
            return url
        }
    }
}

extension SettingFormat<RequestParameters> {
    static var requestParameters: Self {
        Self(values: "a JSON object") { text throws(SettingProblem) in
            do throws(ParameterError) { return try RequestParameters(parsing: text) } catch {
                throw SettingProblem(error.description)
            }
        }
    }
}
