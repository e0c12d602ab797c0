import NIOCore
import TestSupport

@testable import RedisClient

/// A reply as a plain tree, to compare with a flat `RedisReply`.
indirect enum PlainReply: Equatable, Sendable {
    case string([UInt8])
    case status(String)
    case error(String)
    case integer(Int64)
    case null
    case array([PlainReply])

    /// Reads a decoded reply through each of its accessors; nil if they disagree.
    init?(_ reply: RedisReply) {
        var elements: [RedisReply] = []
        reply.forEachElement { elements.append($0) }
        guard elements.count == reply.count, reply[reply.count] == nil, reply[-1] == nil else { return nil }
        let bytes = reply.buffer.flatMap { $0.getBytes(at: $0.readerIndex, length: $0.readableBytes) }
        switch reply.kind {
        case .string, .status, .error:
            guard let bytes, reply.string == String(decoding: bytes, as: UTF8.self), reply.wireInteger == nil else { return nil }
            switch reply.kind {
            case .string: self = .string(bytes)
            case .status: self = .status(String(decoding: bytes, as: UTF8.self))
            default: self = .error(String(decoding: bytes, as: UTF8.self))
            }
            guard reply.errorMessage == (reply.kind == .error ? reply.string : nil) else { return nil }
        case .integer:
            guard let integer = reply.wireInteger, bytes == nil, reply.string == nil else { return nil }
            self = .integer(integer)
        case .null:
            guard bytes == nil, reply.string == nil, reply.wireInteger == nil else { return nil }
            self = .null
        case .array:
            var plain: [PlainReply] = []
            for (index, element) in elements.enumerated() {
                guard let other = reply[index], other.kind == element.kind, other.count == element.count, other.buffer == element.buffer,
                    other.wireInteger == element.wireInteger, let value = PlainReply(other)
                else { return nil }
                plain.append(value)
            }
            self = .array(plain)
        }
        guard reply.isNull == (self == .null) else { return nil }
    }

    /// The reply in RESP2, as Redis writes it.
    var bytes: [UInt8] {
        switch self {
        case .string(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10]
        case .status(let text): Array("+\(text)\r\n".utf8)
        case .error(let text): Array("-\(text)\r\n".utf8)
        case .integer(let value): Array(":\(value)\r\n".utf8)
        case .null: Array("$-1\r\n".utf8)
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(\.bytes)
        }
    }

    /// The number of values in the reply, itself included.
    var nodeCount: Int {
        if case .array(let elements) = self { elements.reduce(1) { $0 + $1.nodeCount } } else { 1 }
    }

    static func random(depth: Int = 4, using random: inout SeededGenerator) -> PlainReply {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &random) {
        case 0, 1: .string((0..<Int.random(in: 0...20, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random) })
        case 2: .status(["OK", "", "QUEUED", "a b"].randomElement(using: &random) ?? "")
        case 3: .error(["ERR no", "", "MOVED 1 a:2", "NOSCRIPT x"].randomElement(using: &random) ?? "")
        case 4: .integer([0, -1, 1, .max, .min, 42].randomElement(using: &random) ?? 0)
        case 5: .null
        default: .array((0..<Int.random(in: 0...5, using: &random)).map { _ in .random(depth: depth - 1, using: &random) })
        }
    }
}

/// The output of a decoder that gets the bytes in these pieces.
struct Decoding: Equatable, Sendable {
    var replies: [PlainReply] = []
    var error: RedisError.Code?
    var message: String?

    init(_ pieces: [ArraySlice<UInt8>], maxBytes: Int = 1 << 20, maxNodes: Int = 1 << 20) throws {
        let decoder = try RedisReplyDecoder(maxBytes: maxBytes, maxNodes: maxNodes)
        do throws(RedisError) {
            for piece in pieces {
                try decoder.feed(ByteBuffer(bytes: piece))
                while let reply = try decoder.next() {
                    guard let plain = PlainReply(reply) else { throw RedisError(.reply("unequal"), "a reply reads differently") }
                    replies.append(plain)
                }
            }
        } catch {
            (self.error, message) = (error.code, error.message)
            guard Self.staysFailed(decoder) else {
                self.error = .reply("revived")
                return
            }
        }
    }

    init(_ text: String, maxBytes: Int = 1 << 20, maxNodes: Int = 1 << 20) throws {
        try self.init([Array(text.utf8)[...]], maxBytes: maxBytes, maxNodes: maxNodes)
    }

    /// Returns whether a failed decoder also refuses valid bytes.
    private static func staysFailed(_ decoder: RedisReplyDecoder) -> Bool {
        func isRefused(_ body: () throws(RedisError) -> Void) -> Bool {
            do throws(RedisError) { try body() } catch { return error.code == .protocolViolation && error.mayHaveBeenApplied }
            return false
        }
        return isRefused { () throws(RedisError) in _ = try decoder.next() }
            && isRefused { () throws(RedisError) in try decoder.feed(ByteBuffer(string: "+OK\r\n")) }
            && isRefused { () throws(RedisError) in _ = try decoder.next() }
    }
}
