import Foundation
import NIOCore

/// Reads answers and measures how old each token's time is when it arrives; not in the first one.
final class PacedClient {
    let socket: TCPSocket
    private let request: ByteBuffer
    private let rounds: Int
    /// Milliseconds.
    private(set) var delays: [Double] = []
    /// What came instead of the rest.
    private(set) var last: [UInt8] = []
    private var round = 0
    /// Nothing of this answer is here yet.
    private var isNew = true
    /// Tokens of this answer.
    private var count = 0
    /// The beginning of a token, or of an end.
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

    /// - Returns: Whether this was the end, of all answers or too early.
    func read(through space: UnsafeMutableRawBufferPointer) throws -> Bool {
        guard let bytes = socket.read(into: space) else { return false }
        let now = NIODeadline.now().uptimeNanoseconds
        // What is no stream ends where nobody looks for it.
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

    /// A token is `t=DIGITS `. The whole text comes once more at the end, when all tokens were seen.
    ///
    /// - Returns: How many bytes are not needed any more, and whether the answer has ended.
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

/// What all clients of a measurement saw.
struct PacedAnswers {
    /// Milliseconds.
    var delays: [Double] = []
    var failures: [String] = []

    mutating func add(_ client: PacedClient, rounds: Int) {
        delays += client.delays
        if client.delays.count != rounds * 100 {
            failures.append("\(client.delays.count) tokens, then \(String(decoding: client.last, as: UTF8.self))")
        }
    }
}
