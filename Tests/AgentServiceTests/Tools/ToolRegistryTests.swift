import NIOCore
import TestSupport
import Testing

@testable import AgentService

@Suite("Tool registry")
struct ToolRegistryTests {
    @Test("The registry accepts the built-in tools")
    func theBuiltInToolsAreOnesThatTheRegistryAccepts() throws {
        let json = try #require(ToolRegistry.builtIn.json)
        #expect(try JSON(parsing: json).array.map { $0["function"]["name"] } == ["read_file", "echo"])
        #expect(try ToolRegistry(parsing: json).json == json)
    }

    @Test("Schemas keep their bytes without whitespace")
    func schemasAreKeptByteByByteWithoutWhitespace() throws {
        let text = #"[ {"type":"function", "function":{"name":"f","parameters":{"maximum":12345678901234567890,"x":[]},"strict":true}} ]"#
        let registry = try ToolRegistry(parsing: ByteBuffer(string: text))
        #expect(
            registry.json.map { String(buffer: $0) }
                == #"[{"type":"function","function":{"name":"f","parameters":{"maximum":12345678901234567890,"x":[]},"strict":true}}]"#)
    }

    @Test("Without tools there is no list")
    func noToolsAreNoList() throws {
        #expect(try ToolRegistry(parsing: ByteBuffer(string: " [ ] ")).json == nil)
    }

    @Test(
        "An error names the position",
        arguments: [
            ("", "not JSON"), ("{}", "must be an array"), (#""x""#, "must be an array"), ("[7]", "[0]"), ("[{}]", "[0].type"),
            (#"[{"type":"other","function":{"name":"f"}}]"#, "[0].type"), (#"[{"type":"function"}]"#, "[0].function.name"),
            (#"[{"type":"function","function":{"name":""}}]"#, "[0].function.name"),
            (#"[{"type":"function","function":{"name":7}}]"#, "[0].function.name"),
            (
                #"[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","parameters":[]}}]"#,
                "[1].function.parameters"
            ),
        ]
    )
    func theErrorNamesThePlace(text: String, place: String) {
        let error = #expect(throws: ToolSchemaError.self) { try ToolRegistry(parsing: ByteBuffer(string: text)) }
        #expect(error?.description.hasPrefix(place) == true, "\(error?.description ?? "")")
    }
}
