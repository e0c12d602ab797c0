public import NIOCore

/// A request that the model server has received.
public struct UpstreamRequest: Sendable {
    public var path: String
    public var query: String?
    public var headers: [String: String]
    public var raw: ByteBuffer
    public var body: JSON

    public init(path: String, query: String? = nil, headers: [String: String] = [:], raw: ByteBuffer) {
        (self.path, self.query, self.headers, self.raw) = (path, query, headers, raw)
        body = (try? JSON(parsing: raw)) ?? .null
    }

    public var messages: [JSON] { body["messages"].array }
    public var lastContent: String { messages.last?["content"].string ?? "" }
}
