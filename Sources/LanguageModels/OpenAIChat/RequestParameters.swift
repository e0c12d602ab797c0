import JSONText
import NIOCore

/// Members that an operator adds to each request, such as `reasoning_effort` or `temperature`. JSON
/// travels as the text that it is.
public struct RequestParameters: Sendable, Equatable {
    /// Members that the server writes itself.
    static let reserved: Set = ["messages", "model", "tools", "stream", "stream_options"]
    private static let maximumBytes = 64 << 10

    /// `,"name":value` for each.
    let json: ByteBuffer

    /// None.
    public init() {
        json = ByteBuffer()
    }

    /// Reads a JSON object.
    ///
    /// - Throws: ``ParameterError`` if it is not one, or has a member that must not be there.
    public init(parsing text: String) throws(ParameterError) {
        guard text.utf8.count <= Self.maximumBytes else { throw ParameterError("must have at most \(Self.maximumBytes) bytes") }
        let object: JSONSlice
        do { object = try JSONSlice(parsing: ByteBuffer(string: text)) } catch {
            throw ParameterError("must be a JSON object: \(error)")
        }
        guard object.kind == .object else { throw ParameterError("must be a JSON object") }
        var names: Set<String> = []
        var json = ByteBuffer()
        for member in object.members {
            let name = member.key.string
            guard !Self.reserved.contains(name) else {
                throw ParameterError("must not have the member \(name), which the server writes itself")
            }
            guard names.insert(name).inserted else { throw ParameterError("has the member \(name) twice") }
            json.writeStaticString(",")
            json.writeJSONString(name)
            json.writeStaticString(":")
            json.writeImmutableBuffer(member.value.text.buffer)
        }
        self.json = json
    }
}

/// Why parameters cannot be used. The description names the member.
public struct ParameterError: Error, Sendable, CustomStringConvertible {
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}
