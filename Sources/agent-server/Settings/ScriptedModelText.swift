import AgentService
import LanguageModels

/// What `--help` says of the model that is built in; docs/models.md has the same words.
enum ScriptedModelText {
    static let help = """
        The scripted model:
        Without \(Setting.llmURL.name) a scripted model responds, which needs no key. It reads the last user message line by line:
            read_file PATH   calls the tool read_file with {"path":PATH}
            echo TEXT        calls the tool echo with {"text":TEXT}
            slow N           writes the numbers 1 to N, one every 15 ms; at most \(ScriptedModel.maxSlowWords)
            any other text   is quoted: "You said: …"
        Each word must stand at the beginning of a line of its own. Several lines with tools make parallel calls. Once all results are there, the model quotes them.
        """
}
