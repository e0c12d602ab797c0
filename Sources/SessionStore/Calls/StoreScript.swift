import RedisClient

/// A script of the protocol, with its arguments by name.
///
/// One list names the arguments. It encodes each call's ARGV, and it becomes the prologue that
/// hands them to the Lua text as locals; so the two cannot drift apart. The same holds for KEYS.
struct StoreScript<Input>: Sendable {
    /// What Redis is sent: the text with its prologue and the parts that it uses.
    let script: RedisScript
    let keys: [StaticString]
    let parameters: [ScriptParameter<Input>]
    /// Appends the arguments behind the named ones. Lua finds the first of them at `ARGV[rest]`.
    let rest: (@Sendable (Input, inout RedisScriptCall) -> Void)?

    /// - Parameters:
    ///   - body: The script's file.
    ///   - keys: What Lua calls the keys. Those of a session are called as in ``RedisKeys``.
    init(
        _ name: String, body: [UInt8], keys: [StaticString] = RedisKeys.scriptKeys, _ parameters: [ScriptParameter<Input>],
        rest: (@Sendable (Input, inout RedisScriptCall) -> Void)? = nil
    ) {
        self.keys = keys
        self.parameters = parameters
        self.rest = rest
        let prologue = ScriptText.prologue(
            keys: keys.map { "\($0)" }, arguments: parameters.map { ("\($0.name)", $0.form.reading(of: $0.name)) }, hasRest: rest != nil)
        script = RedisScript(name: name, source: ScriptText.assembled(body, prologue: prologue).utf8)
    }

    /// Returns a call on a session's keys.
    ///
    /// - Parameter capacity: Bytes that all arguments together will roughly have.
    func call(_ input: Input, on session: RedisKeys, capacity: Int = 256) -> RedisScriptCall {
        var call = RedisScriptCall(script, keys: session, keys, capacity: capacity)
        append(input, to: &call)
        return call
    }

    /// Returns a call on an account's keys.
    func call(_ input: Input, on account: AccountKeys, capacity: Int = 384) -> RedisScriptCall {
        var call = RedisScriptCall(script, keyCount: keys.count, capacity: capacity)
        for key in keys { call.append(account.prefix, key) }
        append(input, to: &call)
        return call
    }

    /// Returns a call on one key that does not belong to a session.
    func call(_ input: Input, on key: String, capacity: Int = 256) -> RedisScriptCall {
        var call = RedisScriptCall(script, keys: [key], capacity: capacity)
        append(input, to: &call)
        return call
    }

    private func append(_ input: Input, to call: inout RedisScriptCall) {
        for parameter in parameters { parameter.encode(input, &call) }
        rest?(input, &call)
    }
}

extension ScriptParameter.Form {
    /// Returns the Lua expression for an argument of this form; nil for the string itself.
    fileprivate func reading(of name: StaticString) -> String? {
        switch self {
        case .text: nil
        case .number: "tonumber(\(name))"
        case .flag: "\(name) == '1'"
        }
    }
}
