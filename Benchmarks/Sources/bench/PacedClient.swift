import Foundation
import NIOCore

/// Reads streams, and measures the age of each token when it arrives. The first stream does not
/// count.
final class PacedClient {
    let socket: TCPSocket
    private let request: ByteBuffer
    private let rounds: Int
    /// The ages of the tokens when they arrived, in milliseconds.
    private(set) var delays: [Double] = []
    /// The last bytes of a stream that ended early.
    private(set) var last: [UInt8] = []
    private var round = 0
    /// Whether nothing of the current response has arrived yet.
    private var isNew = true
    /// The tokens of the current response so far.
    private var count = 0
    /// The beginning of a token or of an end mark whose rest has not arrived.
    private var pending = ByteBuffer()

    init(_ socket: TCPSocket, request: ByteBuffer, rounds: Int) {
        self.socket = socket
        self.request = request
        self.rounds = rounds
        delays.reserveCapacity(rounds * 100)
    }

    func post() throws {
        try socket.write(request)
    }

    /// Reads what has arrived.
    ///
    /// - Returns: Whether the client is done: all of its responses have ended, or one ended early.
    func read(through space: UnsafeMutableRawBufferPointer) throws -> Bool {
        guard let bytes = socket.read(into: space) else { return false }
        let now = NIODeadline.now().uptimeNanoseconds
        // A response that is not a stream has no end mark to wait for.
        guard !bytes.isEmpty, !isNew || bytes.starts(with: "HTTP/1.1 200".utf8) else {
            last = Array(bytes.prefix(300))
            return true
        }
        isNew = false
        let (read, isDone): (Int, Bool)
        if pending.readableBytes == 0 {
            (read, isDone) = readTokens(bytes, now)
            pending.writeBytes(bytes[read...])
        } else {
            pending.writeBytes(bytes)
            (read, isDone) = pending.withUnsafeReadableBytes { readTokens($0, now) }
            pending.moveReaderIndex(forwardBy: read)
        }
        guard isDone else { return false }
        pending.clear()
        guard round < rounds, count == 100 else {
            last = Array(bytes.suffix(300))
            return true
        }
        round += 1
        count = 0
        isNew = true
        try post()
        return false
    }

    /// Reads tokens of the form `t=DIGITS `. The final text repeats them at the end, after all
    /// tokens.
    ///
    /// - Returns: The number of bytes that were consumed, and whether the response has ended.
    private func readTokens(_ raw: UnsafeRawBufferPointer, _ now: UInt64) -> (read: Int, isDone: Bool) {
        guard let base = raw.baseAddress else { return (0, false) }
        var index = 0
        while count < 100, let mark = memchr(base + index, 0x74, raw.count - index) {
            var end = UnsafeRawPointer(mark) - base + 1
            guard end < raw.count else { return (end - 1, false) }
            guard raw[end] == UInt8(ascii: "=") else {
                index = end
                continue
            }
            end += 1
            var sent: UInt64 = 0
            while end < raw.count, 0x30...0x39 ~= raw[end] {
                sent = sent * 10 + UInt64(raw[end] - 0x30)
                end += 1
            }
            guard end < raw.count else { return (UnsafeRawPointer(mark) - base, false) }
            if sent > 0 {
                count += 1
                if round > 0 { delays.append(Double(now - sent) / 1e6) }
            }
            index = end
        }
        return (max(index, raw.count - 5), raw.count >= 5 && memcmp(base + raw.count - 5, "0\r\n\r\n", 5) == 0)
    }
}

/// The results of all clients of a measurement.
struct PacedAnswers {
    /// The ages of the tokens when they arrived, in milliseconds.
    var delays: [Double] = []
    var failures: [String] = []

    mutating func add(_ client: PacedClient, rounds: Int) {
        delays += client.delays
        if client.delays.count != rounds * 100 {
            failures.append("\(client.delays.count) tokens, then \(String(decoding: client.last, as: UTF8.self))")
        }
    }
}
