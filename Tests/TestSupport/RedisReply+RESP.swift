import NIOCore
public import RedisClient

extension RedisReply {
    /// Creates a reply from RESP with spaces in place of line ends: `*2 $1 h :7`.
    public init(resp: String) throws {
        let decoder = try RedisReplyDecoder(maxBytes: 1 << 20, maxNodes: 1 << 20)
        try decoder.feed(
            ByteBuffer(string: resp.split(separator: " ", omittingEmptySubsequences: false).joined(separator: "\r\n") + "\r\n"))
        guard let reply = try decoder.next() else { throw Unexpected(description: "\(resp) is no whole reply") }
        self = reply
    }
}
