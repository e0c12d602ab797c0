import JSONText
import NIOCore
import SessionStore

/// The body of a request to cut a history.
struct RewindFields: Sendable {
    /// Messages that stay, ≥ 1.
    var historyLength: Int
    /// The history's length as the client knows it.
    var expectedLength: Int?

    init(body: ByteBuffer) throws(RequestError) {
        let value: JSONSlice
        do { value = try JSONSlice(parsing: body) } catch { throw RequestError(.invalidJSON, "the body is not JSON: \(error)") }
        guard value.kind == .object else { throw RequestError("the body must be a JSON object") }
        guard let length = value["history_length"], !length.isNull else { throw RequestError("history_length is missing") }
        guard let kept = length.integer, kept >= 1 else { throw RequestError("history_length must be a whole number, 1 or more") }
        historyLength = kept
        guard let expected = value["expected_length"], !expected.isNull else { return }
        guard let number = expected.integer, number >= 0 else {
            throw RequestError("expected_length must be a whole number, 0 or more")
        }
        expectedLength = number
    }
}
