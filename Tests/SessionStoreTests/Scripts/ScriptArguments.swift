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
    var slot = ""
    var mayBegin = true
    var ledgerBound = 256
    var maximumMessages = 0
    var maximumBytes = 0
    var layout = 1
    var knownLayout = RedisLayout.known
    var instance = "process-1"
    var subject = ""
    var opensUnowned = true
    var maximumAge = 0
    var aheadBytes = 0
    var aheadMessages = 0

    /// Returns the arguments by their names in Lua.
    func values(wake: String) -> [String: String] {
        [
            "token": token, "nonce": nonce, "owner": owner, "lease": "\(lease)", "hint_due": "\(hint)", "ttl": "\(ttl)", "kind": kind,
            "message": kind == "retry" ? "" : message, "system_prompt": systemPrompt, "key": key, "request_digest": digest,
            "call_id": callID, "tool_name": toolName, "result_digest": resultDigest, "expected_length": expectedLength,
            "new_model": model, "new_tools": tools, "new_metadata": metadata, "new_on_disconnect": onDisconnect,
            "ledger_bound": "\(ledgerBound)", "publish": "PUBLISH", "wake": wake, "max_messages": "\(maximumMessages)",
            "max_bytes": "\(maximumBytes)", "layout": "\(layout)", "known_layout": "\(knownLayout)", "instance": instance,
            "ahead_bytes": "\(aheadBytes)", "ahead_messages": "\(aheadMessages)",
            "user_start": #"{"role":"user""#, "tool_start": #"{"role":"tool""#,
            "cancelled_start": #"{"role":"tool","tool_call_id":"#,
            "cancelled_end": #","content":"cancelled: the user went on before this tool call was answered"}"#,
            "subject": subject, "opens_unowned": opensUnowned ? "1" : "0", "max_age": "\(maximumAge)", "grace": "60000",
            "slot": slot, "may_begin": mayBegin ? "1" : "0",
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
    var maximumAge = 0
    var promptTokens = 0
    var completionTokens = 0
    var journalLine = #"{"status":"completed"}"#
    var journalBound = 256
    var lastSequence = 0
    var messages: [String] = []
    var isRejected = false
    var finishReason = ""
    var calls: [ScriptedCall] = []
    /// The elements, each with the index of its message.
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

    /// Returns the arguments by their names in Lua.
    func values(token: String, step: Int, wake: String) -> [String: String] {
        [
            "token": token, "step": "\(step)", "ttl": "\(ttl)", "publish": "PUBLISH", "wake": wake,
            "prompt_tokens": "\(promptTokens)", "completion_tokens": "\(completionTokens)", "journal_line": journalLine,
            "journal_bound": "\(journalBound)", "last_sequence": "\(lastSequence)", "message_count": "\(messages.count)",
            "call_count": "\(calls.count)",
            "new_role": messages.last.flatMap { ChatRole(of: ByteBuffer(string: $0)) }?.rawValue ?? "",
            "is_rejected": isRejected ? "1" : "0", "reasoning_count": "\(reasoning.count)", "finish_reason": finishReason,
            "max_age": "\(maximumAge)", "grace": "60000",
        ]
    }

    /// The arguments after the named ones.
    var rest: [String] {
        messages + calls.flatMap { [$0.id, $0.name, $0.json] } + reasoning.flatMap { ["\($0.message)", $0.json] } + events
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
    var knownLayout = RedisLayout.known
    var subject = ""
    var opensUnowned = true
    var instance = "process-2"
    var verdict = "run"
    var aheadBytes = 0
    var aheadMessages = 0

    /// Returns the arguments by their names in Lua.
    func values(_ keys: RedisKeys) -> [String: String] {
        [
            "token": token, "nonce": nonce, "owner": owner, "lease": "\(lease)", "ttl": "\(ttl)", "step": "\(step)",
            "force": force ? "1" : "0", "new_intent": intent, "max_attempts": "\(attempts)", "publish": "PUBLISH", "wake": keys.wake,
            "replica_channels": RedisKeyspace.standard.replica(""), "session": keys.session.text, "known_layout": "\(knownLayout)",
            "instance": instance, "verdict": verdict, "ahead_bytes": "\(aheadBytes)", "ahead_messages": "\(aheadMessages)",
            "subject": subject, "opens_unowned": opensUnowned ? "1" : "0", "grace": "60000",
        ]
    }
}
