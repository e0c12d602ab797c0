import RedisClient

/// What a call of `commit_step` is made from.
struct CommitStepCall: SessionCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let commit: StepCommit
}

extension StoreScripts {
    static let commitStep = StoreScript<CommitStepCall>(
        "commit_step", body: PackageResources.commit_step_lua,
        [
            .text("token") { $0.commit.lease.token.text },
            .digits("step") { $0.commit.lease.step },
            .ttl,
            .publish,
            .wake,
            .number("prompt_tokens") { $0.commit.promptTokens },
            .number("completion_tokens") { $0.commit.completionTokens },
            .bytes("journal_line") { $0.commit.journalLine },
            .journalBound,
            .number("last_sequence") { $0.commit.events.lastSequence },
            .number("message_count") { $0.commit.messages.count },
            .number("call_count") { $0.commit.calls.count },
            .text("new_role") { $0.commit.lastRole?.rawValue },
            .flag("is_rejected") { $0.commit.isRejected },
            .number("reasoning_count") { $0.commit.reasoning.count },
            .text("finish_reason") { $0.commit.finishReason },
            .number("max_age") { $0.commit.lease.maximumAge },
            .grace,
        ],
        rest: { $1.append(rest: $0.commit) })
}

extension RedisScriptCall {
    /// Appends what a step ends with, in the order in which `commit_step` expects it.
    fileprivate mutating func append(rest commit: StepCommit) {
        for message in commit.messages { append(message) }
        for call in commit.calls {
            append(call.id)
            append(call.toolName)
            append(call.json)
        }
        for reasoning in commit.reasoning {
            append(integer: Int64(reasoning.message))
            append(reasoning.json)
        }
        append(commit.events)
    }
}
