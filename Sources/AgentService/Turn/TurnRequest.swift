import JSONText
public import NIOCore
public import SessionStore

/// A request to `POST /agent/message/stream`, checked.
public struct TurnRequest: Sendable {
    /// What to do while a step of the session is running.
    public enum OnConflict: String, Sendable {
        /// The message is refused.
        case reject
        /// The message is accepted once the step has ended.
        case wait
        /// The step is cancelled, and the message accepted then.
        case interrupt
    }

    /// Bytes of `metadata`, since it is stored with every step's line in the journal.
    static let maximumMetadataBytes = 16 << 10

    /// The session. It is created by its first message.
    public var session: SessionID
    /// The message, or what to do without one.
    public var input: BeginStep.Input
    /// The client's settings for the turn.
    public var settings: TurnSettings
    /// What to do while a step of the session runs.
    public var onConflict: OnConflict
    /// The length of the history as the client knows it; nil to accept any.
    public var expectedLength: Int?
    /// Recognises the request when it is sent again; nil to accept it each time.
    public var idempotency: BeginStep.Idempotency?
    /// The last event that the client has, of a request that it sends again.
    public var lastEventID: EventID?
    /// W3C trace context, passed on to the model.
    public var traceparent: String?
    /// The request's name in logs.
    public var requestID: String?
}

/// A field of a request that cannot be used.
public struct RequestError: Error, Sendable, CustomStringConvertible {
    /// The reasons, for programs.
    public enum Code: String, Sendable {
        /// The body is not JSON.
        case invalidJSON = "invalid_json"
        /// A field is missing, of the wrong type, or out of range.
        case invalidRequest = "invalid_request"
    }

    /// The reason.
    public var code: Code
    /// Names the field.
    public var description: String

    /// A field is missing, of the wrong type, or out of range.
    public init(_ description: String) {
        self.init(.invalidRequest, description)
    }

    /// - Parameters:
    ///   - code: The reason.
    ///   - description: The reason in words, with the name of the field.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

extension TurnRequest {
    /// Reads a request's body.
    ///
    /// - Parameters:
    ///   - body: The JSON text as it came.
    ///   - idempotencyKey: The header of that name; 1–128 bytes.
    ///   - lastEventID: The header of that name.
    ///   - traceparent: The header of that name (W3C trace context).
    /// - Throws: ``RequestError`` for the first field that cannot be used.
    public init(
        body: ByteBuffer, idempotencyKey: String? = nil, lastEventID: String? = nil, traceparent: String? = nil
    ) throws(RequestError) {
        let text: CheckedJSON
        do { text = try CheckedJSON(parsing: body) } catch {
            throw RequestError(.invalidJSON, "the body is not JSON: \(error)")
        }
        guard text.kind == .object else { throw RequestError("the body must be a JSON object") }
        var fields = BodyFields()
        for (key, value) in text.value.members.lazy.map({ ($0.key, $0.value) }) where !value.isNull {
            switch key {
            case "session_id": fields.session = value
            case "message": fields.message = value
            case "tools": fields.tools = value
            case "model": fields.model = value
            case "on_conflict": fields.onConflict = value
            case "on_disconnect": fields.onDisconnect = value
            case "expected_length": fields.expectedLength = value
            case "metadata": fields.metadata = value
            default: continue
            }
        }
        guard let session = fields.session else { throw RequestError("session_id is missing") }
        guard let id = session.string.flatMap({ SessionID($0) }) else {
            throw RequestError("session_id must be a string of 1–128 of A-Z a-z 0-9 . _ : -, and not . or ..")
        }
        guard let message = fields.message else { throw RequestError("message is missing") }
        self.session = id
        input = try MessageField.input(message)
        settings = try fields.settings
        onConflict = try fields.onConflictValue
        expectedLength = try fields.expectedLengthValue
        if let idempotencyKey {
            guard !idempotencyKey.isEmpty, idempotencyKey.utf8.count <= 128 else {
                throw RequestError("the header Idempotency-Key must have 1–128 bytes")
            }
            idempotency = BeginStep.Idempotency(key: idempotencyKey, digest: Digest.short(text.buffer))
        }
        self.lastEventID = try EventID(header: lastEventID)
        self.traceparent = traceparent
    }
}

extension EventID {
    /// Reads `Last-Event-ID`; nil where it is absent or empty, as a browser sends it before the first event.
    package init?(header: String?) throws(RequestError) {
        guard let header, !header.isEmpty else { return nil }
        guard let id = EventID(header) else { throw RequestError("Last-Event-ID must be the id of an event of this server") }
        self = id
    }
}

/// The fields of the body, as they came.
private struct BodyFields {
    var session: JSONSlice?
    var message: JSONSlice?
    var tools: JSONSlice?
    var model: JSONSlice?
    var onConflict: JSONSlice?
    var onDisconnect: JSONSlice?
    var expectedLength: JSONSlice?
    var metadata: JSONSlice?

    var settings: TurnSettings {
        get throws(RequestError) {
            var settings = TurnSettings()
            if let model {
                guard let name = model.string, !name.isEmpty, name.utf8.count <= 256 else {
                    throw RequestError("model must be a string of 1–256 bytes")
                }
                settings.model = name
            }
            if let tools {
                // An empty array is kept as such: it says "no tools", where an absent field says "the server's".
                do { _ = try ToolRegistry(validating: tools) } catch { throw RequestError("tools\(error)") }
                settings.tools = tools.text.buffer
            }
            if let metadata {
                guard metadata.kind == .object else { throw RequestError("metadata must be an object") }
                let text = metadata.text.buffer
                guard text.readableBytes <= TurnRequest.maximumMetadataBytes else {
                    throw RequestError("metadata must have at most \(TurnRequest.maximumMetadataBytes) bytes of JSON")
                }
                settings.metadata = text
            }
            if let onDisconnect {
                guard let value = onDisconnect.string.flatMap(TurnSettings.OnDisconnect.init(rawValue:)) else {
                    throw RequestError("on_disconnect must be \"continue\" or \"cancel\"")
                }
                settings.onDisconnect = value
            }
            return settings
        }
    }

    var onConflictValue: TurnRequest.OnConflict {
        get throws(RequestError) {
            guard let onConflict else { return .reject }
            guard let value = onConflict.string.flatMap(TurnRequest.OnConflict.init(rawValue:)) else {
                throw RequestError("on_conflict must be \"reject\", \"wait\" or \"interrupt\"")
            }
            return value
        }
    }

    var expectedLengthValue: Int? {
        get throws(RequestError) {
            guard let expectedLength else { return nil }
            guard let length = expectedLength.integer, length >= 0 else {
                throw RequestError("expected_length must be a whole number, 0 or more")
            }
            return length
        }
    }
}
