/// A request whose body, or one field of it, a front end cannot use.
struct RequestError: Error, Sendable, CustomStringConvertible {
    enum Code: String, Sendable {
        case invalidJSON = "invalid_json"
        case invalidRequest = "invalid_request"
    }

    var code: Code
    /// Names the field.
    var description: String

    /// A field is missing, of the wrong type, or out of range.
    init(_ description: String) {
        self.init(.invalidRequest, description)
    }

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
