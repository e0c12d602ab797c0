import NIOCore

/// What a call of `begin_step` is made from.
struct BeginStepCall: RequestedCall {
    let store: RedisSessionStore
    let keys: RedisKeys
    let requester: Requester
    let begin: BeginStep
    /// Redis's time in ms at which sweepers will look at the session.
    let hintDue: Int64
    /// The step's slots; nil if limits forbid it to begin.
    let slot: StepSlot?

    var kind: String {
        switch begin.input {
        case .user: "user"
        case .toolResult: "tool_result"
        case .retry: "retry"
        case .replacement: "replace"
        }
    }

    var message: ByteBuffer? {
        switch begin.input {
        case .user(let json), .toolResult(let json, _, _), .replacement(let json): json
        case .retry: nil
        }
    }

    /// The call that a tool result answers, and the tool's name if the client sent it.
    var call: (id: String, toolName: String?)? {
        if case .toolResult(_, let id, let name) = begin.input { (id, name) } else { nil }
    }

    var resultDigest: String? {
        if case .toolResult(let json, _, _) = begin.input { Digest.short(json) } else { nil }
    }
}

extension StoreScripts {
    static let beginStep = StoreScript<BeginStepCall>(
        "begin_step", body: PackageResources.begin_step_lua,
        [
            .text("token") { $0.begin.token.text },
            .text("nonce") { $0.begin.token.nonce },
            .owner,
            .lease,
            .number("hint_due") { $0.hintDue },
            .ttl,
            .text("kind") { $0.kind },
            .bytes("message") { $0.message },
            .bytes("system_prompt") { $0.begin.systemPrompt },
            .text("key") { $0.begin.idempotency?.key },
            .text("request_digest") { $0.begin.idempotency?.digest },
            .text("call_id") { $0.call?.id },
            .text("tool_name") { $0.call?.toolName },
            .text("result_digest") { $0.resultDigest },
            .optionalNumber("expected_length") { $0.begin.expectedLength },
            .text("new_model") { $0.begin.settings.model },
            .bytes("new_tools") { $0.begin.settings.tools },
            .bytes("new_metadata") { $0.begin.settings.metadata },
            .text("new_on_disconnect") { $0.begin.settings.onDisconnect?.rawValue },
            .number("ledger_bound") { $0.store.configuration.ledgerBound },
            .publish,
            .wake,
            .number("max_messages") { $0.store.configuration.maximumMessages },
            .number("max_bytes") { $0.store.configuration.maximumHistoryBytes },
            .number("layout") { $0.store.layout.current },
            .knownLayout,
            .instance,
            .aheadBytes,
            .aheadMessages,
            .text("user_start") { _ in ChatRole.user.messageStart },
            .text("tool_start") { _ in ChatRole.tool.messageStart },
            .text("cancelled_start") { _ in CancelledCall.start },
            .text("cancelled_end") { _ in CancelledCall.end },
            .subject,
            .opensUnowned,
            .number("max_age") { $0.store.maximumAge(of: $0.begin) },
            .grace,
            .text("slot") { $0.slot?.text },
            .flag("may_begin") { $0.slot != nil },
        ])
}
