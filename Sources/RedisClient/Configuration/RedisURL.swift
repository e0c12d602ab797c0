/// An error in a Redis URL. Never holds the password.
public struct RedisURLError: Error, Sendable, CustomStringConvertible {
    /// The error in words for operators.
    public var description: String

    init(_ description: String) {
        self.description = description
    }
}

extension RedisConfiguration {
    /// Reads a URL of one of these forms. User and password are percent-encoded (RFC 3986);
    /// `redis://:pass@host` has a password and no user. With `rediss`, `rediss-sentinel` and
    /// `rediss-cluster` all connections use TLS, including those to sentinels.
    ///
    /// - `redis://[user:pass@]host[:port][/db]`
    /// - `unix:///path[?db=N]`
    /// -
    ///   `redis-sentinel://[user:pass@]host[:port][,host[:port]…]/NAME[/db][?sentinel_username=…&sentinel_password=…]`
    /// - `redis-cluster://[user:pass@]host[:port][,host[:port]…]`
    ///
    /// - Throws: ``RedisURLError``.
    public init(url: String) throws(RedisURLError) {
        guard let separator = url.firstRange(of: "://") else { throw RedisURLError("must have the form redis://host:port/db") }
        let scheme = url[..<separator.lowerBound].lowercased()
        let rest = url[separator.upperBound...]
        switch scheme {
        case "redis", "rediss": try self.init(authority: rest, usesTLS: scheme == "rediss")
        case "unix": try self.init(path: rest)
        case "redis-sentinel", "rediss-sentinel": try self.init(sentinels: rest, usesTLS: scheme.hasPrefix("rediss"))
        case "redis-cluster", "rediss-cluster": try self.init(nodes: rest, usesTLS: scheme.hasPrefix("rediss"))
        default:
            // A text that is not a scheme may hold the password.
            let name = scheme.utf8.allSatisfy { ("a"..."z").contains(UnicodeScalar($0)) } ? "“\(scheme)”" : "this"
            throw RedisURLError(
                "\(name) is no scheme this server knows; it knows redis, redis-sentinel, redis-cluster, each as rediss for TLS, and unix")
        }
    }

    private init(authority: Substring, usesTLS: Bool) throws(RedisURLError) {
        let (credentials, rest) = try Self.credentials(authority)
        var authority = rest
        var database = 0
        if let slash = authority.firstIndex(of: "/") {
            let text = authority[authority.index(after: slash)...]
            authority = authority[..<slash]
            if !text.isEmpty { database = try Self.number(text, "the database", 0...9999) }
        }
        self.init(try Self.hostAndPort(authority, defaultPort: 6379))
        (username, password) = credentials
        self.database = database
        self.usesTLS = usesTLS
    }

    /// Splits `user:pass@` off the text.
    static func credentials(_ text: Substring) throws(RedisURLError) -> ((user: String?, password: String?), rest: Substring) {
        // The last @, since a password may hold one that should have been encoded.
        guard let at = text.lastIndex(of: "@") else { return ((nil, nil), text) }
        let credentials = text[..<at]
        let colon = credentials.firstIndex(of: ":") ?? credentials.endIndex
        let user = try decoded(credentials[..<colon], "the user")
        var password: String?
        if colon < credentials.endIndex { password = try decoded(credentials[credentials.index(after: colon)...], "the password") }
        return ((user.isEmpty ? nil : user, password), text[text.index(after: at)...])
    }

    static func hostAndPort(_ authority: Substring, defaultPort: Int) throws(RedisURLError) -> Address {
        var host = authority
        var port = defaultPort
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw RedisURLError("the host begins with [ but has no ]") }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            if rest.hasPrefix(":") {
                port = try number(rest.dropFirst(), "the port", 1...65535)
            } else if !rest.isEmpty {
                throw RedisURLError("after the host's ] only a port may stand")
            }
        } else if let colon = authority.lastIndex(of: ":") {
            host = authority[..<colon]
            guard !host.contains(":") else { throw RedisURLError("an IPv6 address must stand in [ ]") }
            port = try number(authority[authority.index(after: colon)...], "the port", 1...65535)
        }
        guard !host.isEmpty else { throw RedisURLError("the host is missing") }
        guard !host.contains(where: { "?#[] \t\r\n".contains($0) }) else {
            throw RedisURLError("the host holds what no host may; a query is not known here")
        }
        return .tcp(host: String(host), port: port)
    }

    private init(path rest: Substring) throws(RedisURLError) {
        var path = rest
        var database = 0
        if let question = rest.firstIndex(of: "?") {
            path = rest[..<question]
            let query = rest[rest.index(after: question)...]
            guard query.hasPrefix("db=") else { throw RedisURLError("after the path only ?db=N may stand") }
            database = try Self.number(query.dropFirst(3), "the database", 0...9999)
        }
        guard path.hasPrefix("/") else { throw RedisURLError("the path of the socket must be absolute: unix:///path") }
        let socket = try Self.decoded(path, "the path")
        guard socket.utf8.count <= Self.longestSocketPath else {
            throw RedisURLError("the path of the socket is longer than \(Self.longestSocketPath) bytes")
        }
        self.init(.unix(path: socket))
        self.database = database
    }

    static func number(_ text: Substring, _ what: String, _ range: ClosedRange<Int>) throws(RedisURLError) -> Int {
        // Digits alone: `Int` accepts a sign, too.
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let value = Int(text), range.contains(value)
        else {
            throw RedisURLError("\(what) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    static func decoded(_ text: Substring, _ what: String) throws(RedisURLError) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
                throw RedisURLError("\(what) has a % that two hexadecimal digits do not follow")
            }
            bytes.append(high << 4 | low)
        }
        guard let string = String(validating: bytes, as: UTF8.self) else { throw RedisURLError("\(what) is not UTF-8") }
        return string
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
