public import NIOCore

/// A reply of Redis, stored flat: one array holds its values in order, one buffer holds their
/// bytes. An element of an array reply is a view of the same storage, so that reading one never
/// copies.
public struct RedisReply: Sendable {
    /// The type of a reply in RESP2.
    public enum Kind: UInt8, Sendable {
        /// A bulk string.
        case string
        /// A simple string, for example `OK`.
        case status
        /// An error.
        case error
        /// A 64-bit integer.
        case integer
        /// A null bulk string or a null array.
        case null
        /// An array of replies.
        case array
    }

    /// One value of the reply. The elements of an array follow their array directly, each with its
    /// own elements.
    struct Node: Sendable {
        var kind: Kind
        /// The integer; for strings, the offset of the bytes; otherwise 0.
        var value: Int64 = 0
        /// The number of bytes of a string, or of elements of an array.
        var count: Int = 0
        /// The index behind the last node that belongs to this one.
        var end: Int = 0
    }

    private let nodes: [Node]
    private let bytes: ByteBuffer
    private let index: Int

    /// - Parameter nodes: In the order of the wire, with no array's `end` set yet.
    init?(nodes: consuming [Node], bytes: ByteBuffer) {
        guard !nodes.isEmpty else { return nil }
        for index in nodes.indices.reversed() {
            var end = index + 1
            if nodes[index].kind == .array {
                for _ in 0..<nodes[index].count where end < nodes.count { end = nodes[end].end }
            }
            nodes[index].end = end
        }
        self.nodes = nodes
        self.bytes = bytes
        index = 0
    }

    private init(_ reply: RedisReply, index: Int) {
        nodes = reply.nodes
        bytes = reply.bytes
        self.index = index
    }

    private var node: Node { nodes[index] }

    /// The type of this value.
    public var kind: Kind { node.kind }
    /// Whether Redis sent a null: the key, field or element does not exist.
    public var isNull: Bool { node.kind == .null }
    /// The integer, if it lies within ±2^53; nil for larger ones and for other types. So the sum of
    /// two such integers cannot overflow.
    public var integer: Int64? { wireInteger.flatMap { Self.numbers.contains($0) ? $0 : nil } }
    /// The integer as Redis sent it.
    var wireInteger: Int64? { node.kind == .integer ? node.value : nil }

    /// The bytes of a string, a status or an error, in the reply's own storage; nil for other
    /// types.
    public var buffer: ByteBuffer? {
        switch node.kind {
        case .string, .status, .error: bytes.getSlice(at: bytes.readerIndex + Int(node.value), length: node.count)
        case .integer, .null, .array: nil
        }
    }

    /// The same as text, with U+FFFD for bytes that are not UTF-8.
    public var string: String? {
        switch node.kind {
        case .string, .status, .error: bytes.getString(at: bytes.readerIndex + Int(node.value), length: node.count)
        case .integer, .null, .array: nil
        }
    }

    /// The text of an error reply, without its leading `-`; nil for other types.
    public var errorMessage: String? { node.kind == .error ? string : nil }

    /// The number of elements of an array; 0 for other types.
    public var count: Int { node.kind == .array ? node.count : 0 }

    /// Returns an element of an array, or nil outside its range. Takes constant time if the array
    /// holds no arrays, and linear time otherwise.
    public subscript(position: Int) -> RedisReply? {
        guard position >= 0, position < count else { return nil }
        var next = index + 1
        if node.end - next == count {
            next += position
        } else {
            for _ in 0..<position { next = nodes[next].end }
        }
        return next < nodes.count ? RedisReply(self, index: next) : nil
    }

    /// The bytes of each element that is a string, a status or an error, in the reply's own
    /// storage.
    public var buffers: [ByteBuffer] {
        var buffers: [ByteBuffer] = []
        buffers.reserveCapacity(count)
        forEachElement { if let buffer = $0.buffer { buffers.append(buffer) } }
        return buffers
    }

    /// Calls `body` with each element in order. Does nothing for a value that is not an array.
    public func forEachElement(_ body: (RedisReply) -> Void) {
        var next = index + 1
        for _ in 0..<count where next < nodes.count {
            body(RedisReply(self, index: next))
            next = nodes[next].end
        }
    }
}

extension RedisReply: CustomStringConvertible {
    /// A description for logs and errors. It is bounded, and shows the content of no string except
    /// an array's first one, which is often the name of an outcome.
    public var description: String {
        switch kind {
        case .string: "a string of \(node.count) bytes"
        case .status, .error: (string ?? "").prefix(bytes: 200)
        case .integer: String(node.value)
        case .null: "nothing"
        case .array: "an array of \(count)" + (self[0]?.kind == .string ? ", the first “\((self[0]?.string ?? "").prefix(bytes: 40))”" : "")
        }
    }
}

extension String {
    /// Returns the first `limit` bytes as text. A bound in characters would not bound the bytes:
    /// one character can have any number of them.
    func prefix(bytes limit: Int) -> String {
        utf8.count <= limit ? self : String(decoding: utf8.prefix(limit), as: UTF8.self)
    }
}
