#if canImport(Glibc)
import Glibc
#endif

/// Sends single commands to a Redis and formats replies as `redis-cli --raw` prints them, errors
/// included. It starts no process, so a test can ask hundreds of times.
///
/// Calls block their thread until Redis replies, as a call of `redis-cli` does.
struct RedisCommandLine: Sendable {
    enum Address: Sendable, CustomStringConvertible {
        case unix(path: String)
        /// A port on loopback.
        case tcp(port: Int)

        var description: String {
            switch self {
            case .unix(let path): path
            case .tcp(let port): "127.0.0.1:\(port)"
            }
        }
    }

    let address: Address
    let password: String?

    var isListening: Bool { Connection(to: address)?.reply(to: ["PING"]) != nil }

    /// Returns the reply's text with the line feed that `redis-cli` prints at its end, except after
    /// the replies in ``textReplies``.
    func output(_ arguments: [String]) -> String {
        guard let connection = Connection(to: address) else {
            return "Could not connect to Redis at \(address): \(String(cString: strerror(errno)))\n"
        }
        if let password { _ = connection.reply(to: ["AUTH", password]) }
        guard let reply = connection.reply(to: arguments) else { return "Error: Server closed the connection\n" }
        let command = arguments.prefix(2).map { $0.uppercased() }
        let isText = Self.textReplies.contains { $0 == Array(command.prefix($0.count)) }
        return isText ? reply : reply + "\n"
    }

    /// Commands whose replies are texts of several lines.
    private static let textReplies = [
        ["INFO"], ["CLUSTER", "NODES"], ["CLUSTER", "INFO"], ["CLIENT", "LIST"], ["CLIENT", "INFO"],
    ]
}

/// One blocking connection; it closes with the value.
private final class Connection {
    private let descriptor: Int32
    private var input: [UInt8] = []
    private var position = 0

    init?(to address: RedisCommandLine.Address) {
        let connected: Int32
        switch address {
        case .unix(let path):
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var name = sockaddr_un()
            name.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
            connected = Self.connect(descriptor, &name)
        case .tcp(let port):
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
            name.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            connected = Self.connect(descriptor, &name)
        }
        if connected != 0 { return nil }
    }

    deinit { close(descriptor) }

    private static func connect<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }

    /// Returns the reply's text; nil if the connection closes first.
    func reply(to arguments: [String]) -> String? {
        var request = Array("*\(arguments.count)\r\n".utf8)
        for argument in arguments { request += Array("$\(argument.utf8.count)\r\n\(argument)\r\n".utf8) }
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            sent += count
        }
        var text: [UInt8] = []
        guard readReply(into: &text) else { return nil }
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends one reply's text. An array's elements stand on lines of their own, nested arrays likewise.
    private func readReply(into text: inout [UInt8]) -> Bool {
        guard let line = readLine(), let type = line.first else { return false }
        let rest = line.dropFirst()
        let count = Int(String(decoding: rest, as: UTF8.self)) ?? 0
        switch type {
        case UInt8(ascii: "$"):
            guard count >= 0 else { return true }
            guard let bytes = readBytes(count + 2) else { return false }
            text += bytes.dropLast(2)
        case UInt8(ascii: "*"):
            for index in 0..<max(0, count) {
                if index > 0 { text.append(UInt8(ascii: "\n")) }
                guard readReply(into: &text) else { return false }
            }
        case UInt8(ascii: "-"):
            text += rest + [UInt8(ascii: "\n")]
        default:
            text += rest
        }
        return true
    }

    private func readLine() -> ArraySlice<UInt8>? {
        var searched = position
        while true {
            let end = input.withUnsafeBytes { bytes -> Int? in
                guard let start = bytes.baseAddress, searched < bytes.count,
                    let found = memchr(start + searched, Int32(UInt8(ascii: "\n")), bytes.count - searched)
                else { return nil }
                return UnsafeRawPointer(found) - start
            }
            if let end {
                defer { position = end + 1 }
                return input[position..<max(position, end - 1)]
            }
            searched = input.count
            guard receive() else { return nil }
        }
    }

    private func readBytes(_ count: Int) -> ArraySlice<UInt8>? {
        while input.count - position < count {
            guard receive() else { return nil }
        }
        defer { position += count }
        return input[position..<position + count]
    }

    private func receive() -> Bool {
        let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
            repeat { count = recv(descriptor, buffer.baseAddress, buffer.count, 0) } while count < 0 && errno == EINTR
            count = max(0, count)
        }
        input += chunk
        return !chunk.isEmpty
    }
}
