package import JSONText
public import NIOCore
import SessionStore

/// The tools that the model is offered if a request has none of its own. The server never runs a
/// tool: clients do.
public struct ToolRegistry: Sendable {
    /// OpenAI tool schemas as a JSON array; nil when there are none.
    public let json: ByteBuffer?

    /// The two tools that are built in: `read_file` and `echo`.
    public static let builtIn = ToolRegistry(
        trusted: #"""
            [{"type":"function","function":{"name":"read_file","description":"Reads a text file of the user's workspace.","parameters":{"type":"object","properties":{"path":{"type":"string","description":"The file's path, relative to the workspace."}},"required":["path"],"additionalProperties":false}}},{"type":"function","function":{"name":"echo","description":"Gives back the text it is given.","parameters":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}}}]
            """#)

    private init(trusted json: String) {
        self.json = ByteBuffer(string: json)
    }

    /// Reads an array of tool schemas in OpenAI form: objects with `type` `function` and a
    /// `function` that has a `name`.
    public init(parsing bytes: ByteBuffer) throws(ToolSchemaError) {
        let text: CheckedJSON
        do { text = try CheckedJSON(parsing: bytes) } catch { throw ToolSchemaError("not JSON: \(error)") }
        try self.init(validating: text.value)
    }

    /// Checks a value that is parsed already.
    package init(validating value: JSONSlice) throws(ToolSchemaError) {
        guard value.kind == .array else { throw ToolSchemaError("must be an array of tool schemas") }
        var count = 0
        for tool in value.elements {
            guard tool.kind == .object else { throw ToolSchemaError("[\(count)] must be an object") }
            guard tool["type"]?.string == "function" else { throw ToolSchemaError("[\(count)].type must be \"function\"") }
            guard let name = tool["function"]?["name"]?.string, !name.isEmpty else {
                throw ToolSchemaError("[\(count)].function.name must be a non-empty string")
            }
            if let parameters = tool["function"]?["parameters"], parameters.kind != .object {
                throw ToolSchemaError("[\(count)].function.parameters must be an object")
            }
            count += 1
        }
        json = count == 0 ? nil : value.text.buffer
    }
}

/// What is wrong with tool schemas. The description continues the field's name: `[0].type must be
/// "function"`.
public struct ToolSchemaError: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}
