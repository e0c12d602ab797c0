public import NIOCore

/// A reply, flat: its values stand one after another in one array, their bytes in one buffer. A part of a reply is a view of it.
public struct RedisReply: Sendable {
    public enum Kind: UInt8, Sendable {
        case string, status, error, integer, null, array
    }

    /// A value. Its children, if it is an array, follow it at once, each with its own children.
    struct Node: Sendable {
        var kind: Kind
        /// The integer, the offset of the bytes, or nothing.
        var value: Int64 = 0
        /// The number of bytes, or of elements.
        var count: Int = 0
        /// The index after the last node that belongs to this one.
        var end: Int = 0
    }

    private let nodes: [Node]
    private let bytes: ByteBuffer
    private let index: Int

    /// - Parameter nodes: In the order of the text, each array's `end` not yet set.
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

    public var kind: Kind { node.kind }
    public var isNull: Bool { node.kind == .null }
    /// The number, where it is one that sessions have. Outside of ``numbers`` it is nil, like that of
    /// another kind of reply: so sums cannot overflow.
    public var integer: Int64? { wireInteger.flatMap { Self.numbers.contains($0) ? $0 : nil } }
    /// The number as it came.
    var wireInteger: Int64? { node.kind == .integer ? node.value : nil }

    /// The bytes of a string, a status or an error; shares the reply's storage.
    public var buffer: ByteBuffer? {
        switch node.kind {
        case .string, .status, .error: bytes.getSlice(at: bytes.readerIndex + Int(node.value), length: node.count)
        case .integer, .null, .array: nil
        }
    }

    /// The same as text; what is not UTF-8 is repaired.
    public var string: String? {
        switch node.kind {
        case .string, .status, .error: bytes.getString(at: bytes.readerIndex + Int(node.value), length: node.count)
        case .integer, .null, .array: nil
        }
    }

    public var errorMessage: String? { node.kind == .error ? string : nil }

    /// The number of elements; 0 for what is no array.
    public var count: Int { node.kind == .array ? node.count : 0 }

    /// An element of an array; nil outside its range. Takes constant time in an array without arrays in it.
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

    /// The bytes of each element that has some; they share the reply's storage.
    var buffers: [ByteBuffer] {
        var buffers: [ByteBuffer] = []
        buffers.reserveCapacity(count)
        forEachElement { if let buffer = $0.buffer { buffers.append(buffer) } }
        return buffers
    }

    /// Calls `body` with each element in order.
    func forEachElement(_ body: (RedisReply) -> Void) {
        var next = index + 1
        for _ in 0..<count where next < nodes.count {
            body(RedisReply(self, index: next))
            next = nodes[next].end
        }
    }
}

extension RedisReply: CustomStringConvertible {
    /// For logs and errors: bounded, and without the contents of strings but an array's first, which mostly says what it is.
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
    /// The first bytes, of which a mere character may have any number.
    func prefix(bytes limit: Int) -> String {
        utf8.count <= limit ? self : String(decoding: utf8.prefix(limit), as: UTF8.self)
    }
}
