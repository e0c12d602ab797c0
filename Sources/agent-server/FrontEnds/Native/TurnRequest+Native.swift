import AgentService
import JSONText
import NIOCore
import SessionStore

extension TurnRequest {
    /// The greatest size of `metadata`: Redis stores it with every step's line in the journal.
    fileprivate static let maximumMetadataBytes = 16 << 10

    /// Reads a request to `POST /agent/message/stream`.
    ///
    /// - Parameters:
    ///   - body: The JSON text as it came.
    ///   - tenant: The tenant of the session.
    ///   - requester: Who sends the request.
    ///   - idempotencyKey: The header `Idempotency-Key`; 1–128 bytes.
    ///   - lastEventID: The header `Last-Event-ID`.
    ///   - traceparent: The header of that name (W3C trace context).
    /// - Throws: ``RequestError`` for the first field that cannot be used.
    init(
        body: ByteBuffer, tenant: TenantID, as requester: Requester, idempotencyKey: String? = nil, lastEventID: String? = nil,
        traceparent: String? = nil
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
        guard let id = session.string.flatMap({ SessionID($0, tenant: tenant) }) else {
            throw RequestError("session_id must be a string of 1–128 of A-Z a-z 0-9 . _ : -, and not . or ..")
        }
        guard let message = fields.message else { throw RequestError("message is missing") }
        self.init(
            session: id, input: try MessageField.input(message), as: requester, settings: try fields.settings,
            onConflict: try fields.onConflictValue)
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
                // An empty array is kept as such: it says "no tools", where an absent field says
                // "the server's".
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
