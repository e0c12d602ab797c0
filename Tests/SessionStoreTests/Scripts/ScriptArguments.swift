import NIOCore

@testable import SessionStore

/// The arguments of `begin_step`, with values that the script accepts.
struct BeginArguments {
    var token = LeaseToken().text
    var nonce = "nonc"
    var owner = "replica-1"
    var lease = 60_000
    var hint: Int64 = 9_999_999_999_999
    var ttl = 0
    var kind = "user"
    var message = #"{"role":"user","content":"hello"}"#
    var systemPrompt = ""
    var key = ""
    var digest = ""
    var callID = ""
    var toolName = ""
    var resultDigest = ""
    var expectedLength = ""
    var model = ""
    var tools = ""
    var metadata = ""
    var onDisconnect = ""
    var ledgerBound = 256
    var maximumMessages = 0
    var maximumBytes = 0
    var layout = 1
    var knownLayout = 2
    var instance = "process-1"
    var aheadBytes = 0
    var aheadMessages = 0

    func list(wake: String) -> [String] {
        [
            token, nonce, owner, "\(lease)", "\(hint)", "\(ttl)", kind, kind == "retry" ? "" : message, systemPrompt, key, digest, callID,
            toolName, resultDigest, expectedLength, model, tools, metadata, onDisconnect,
            "\(ledgerBound)", "PUBLISH", wake, "\(maximumMessages)", "\(maximumBytes)", "\(layout)", "\(knownLayout)", instance,
            "\(aheadBytes)", "\(aheadMessages)",
        ]
    }
}

/// A tool call in the form of `commit_step`.
struct ScriptedCall {
    var id: String
    var name = "read_file"
    var json = #"{"tool_name":"read_file","arguments":{},"step":1}"#

    init(_ id: String) {
        self.id = id
    }
}

/// The arguments of `commit_step` except for the lease.
struct CommitArguments {
    var ttl = 0
    var promptTokens = 0
    var completionTokens = 0
    var journalLine = #"{"status":"completed"}"#
    var journalBound = 256
    var lastSequence = 0
    var messages: [String] = []
    var isRejected = false
    var finishReason = ""
    var calls: [ScriptedCall] = []
    /// Each with the number of its message.
    var reasoning: [(message: Int, json: String)] = []
    /// Name, value, name, value …
    var events: [String] = []

    /// A completion with text alone.
    static func text(_ text: String = "hi") -> CommitArguments {
        var arguments = CommitArguments()
        arguments.messages = [#"{"role":"assistant","content":"\#(text)"}"#]
        return arguments
    }

    /// A completion with tool calls.
    static func calls(_ ids: String...) -> CommitArguments { calls(ids) }

    static func calls(_ ids: [String]) -> CommitArguments {
        var arguments = CommitArguments()
        arguments.calls = ids.map { ScriptedCall($0) }
        let list = ids.map { #"{"id":"\#($0)","type":"function","function":{"name":"read_file","arguments":"{}"}}"# }
        arguments.messages = [#"{"role":"assistant","content":null,"tool_calls":[\#(list.joined(separator: ","))]}"#]
        return arguments
    }

    func list(token: String, step: Int, wake: String) -> [String] {
        [
            token, "\(step)", "\(ttl)", "PUBLISH", wake, "\(promptTokens)", "\(completionTokens)", journalLine, "\(journalBound)",
            "\(lastSequence)", "\(messages.count)", "\(calls.count)",
            messages.last.flatMap { ChatRole(of: ByteBuffer(string: $0)) }?.rawValue ?? "", isRejected ? "1" : "0",
            "\(reasoning.count)", finishReason,
        ] + messages + calls.flatMap { [$0.id, $0.name, $0.json] } + reasoning.flatMap { ["\($0.message)", $0.json] } + events
    }
}

/// The arguments of `take_over`.
struct TakeOverArguments {
    var token = LeaseToken().text
    var nonce = "take"
    var owner = "replica-2"
    var lease = 60_000
    var ttl = 0
    var step = 1
    var force = false
    var intent = ""
    var attempts = 3
    var knownLayout = 2
    var instance = "process-2"
    var verdict = "run"
    var aheadBytes = 0
    var aheadMessages = 0

    func list(_ keys: RedisKeys) -> [String] {
        [
            token, nonce, owner, "\(lease)", "\(ttl)", "\(step)", force ? "1" : "0", intent, "\(attempts)", "PUBLISH", keys.wake,
            RedisKeys.replica(""), keys.session.text, "\(knownLayout)", instance, verdict, "\(aheadBytes)", "\(aheadMessages)",
        ]
    }
}
