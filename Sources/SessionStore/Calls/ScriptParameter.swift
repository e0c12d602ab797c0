import NIOCore
import RedisClient

/// One argument of a script: its name in Lua, and how a call encodes it.
///
/// - Note: `Input` is what a call of the script is made from.
struct ScriptParameter<Input>: Sendable {
    /// What Lua reads from the argument.
    enum Form: Sendable {
        /// A string.
        case text
        /// A number; nil if the argument is empty.
        case number
        /// A boolean, sent as `1` or `0`.
        case flag
    }

    let name: StaticString
    let form: Form
    let encode: @Sendable (Input, inout RedisScriptCall) -> Void

    /// Sends a string; an empty one for nil.
    static func text(_ name: StaticString, _ value: @escaping @Sendable (Input) -> String?) -> Self {
        Self(name: name, form: .text) { input, call in call.append(value(input) ?? "") }
    }

    /// Sends bytes as they are; none for nil.
    static func bytes(_ name: StaticString, _ value: @escaping @Sendable (Input) -> ByteBuffer?) -> Self {
        Self(name: name, form: .text) { input, call in call.append(value(input) ?? ByteBuffer()) }
    }

    /// Sends an integer that the script computes with.
    static func number<Value: FixedWidthInteger & SendableMetatype>(
        _ name: StaticString, _ value: @escaping @Sendable (Input) -> Value
    ) -> Self {
        Self(name: name, form: .number) { input, call in call.append(integer: Int64(clamping: value(input))) }
    }

    /// Sends an integer, or an empty argument for nil.
    static func optionalNumber(_ name: StaticString, _ value: @escaping @Sendable (Input) -> Int?) -> Self {
        Self(name: name, form: .number) { input, call in
            if let number = value(input) { call.append(integer: Int64(number)) } else { call.append("") }
        }
    }

    /// Sends an integer that the script only passes on: it stays a string there.
    static func digits(_ name: StaticString, _ value: @escaping @Sendable (Input) -> Int) -> Self {
        Self(name: name, form: .text) { input, call in call.append(integer: Int64(value(input))) }
    }

    static func flag(_ name: StaticString, _ value: @escaping @Sendable (Input) -> Bool) -> Self {
        Self(name: name, form: .flag) { input, call in call.append(value(input) ? "1" : "0") }
    }
}
