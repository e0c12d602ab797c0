/// The name of a host, as URLs, `Host` and `Origin` write it: in lower case, without a port, an
/// IPv6 address without brackets.
struct HostName: Hashable, Sendable {
    let text: String

    /// A name or an address alone.
    init?(_ name: some StringProtocol) {
        var name = name.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        let isName = !name.isEmpty && name.utf8.allSatisfy { Self.isNameByte($0) || $0 == UInt8(ascii: ":") }
        guard isName else { return nil }
        text = name
    }

    /// A name, with or without a port: `NAME`, `NAME:PORT`, `[ADDRESS]:PORT`.
    init?(authority: some StringProtocol) {
        var rest = authority[...]
        let name: Substring
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            name = Substring(rest[rest.index(after: rest.startIndex)..<end])
            guard name.contains(":") else { return nil }
            rest = rest[rest.index(after: end)...]
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            name = Substring(rest[..<end])
            rest = rest[end...]
        }
        guard rest.isEmpty || (rest.first == ":" && rest.dropFirst().utf8.allSatisfy { 0x30...0x39 ~= $0 }) else { return nil }
        self.init(name)
    }

    /// The host of a URL or an origin: `SCHEME://[USER@]HOST[:PORT][/…]`.
    init?(url: String) {
        guard let scheme = url.firstRange(of: "://") else { return nil }
        let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let user = authority.lastIndex(of: "@").map { authority.index(after: $0) }
        self.init(authority: authority[(user ?? authority.startIndex)...])
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// The four numbers of an IPv4 address; nil for a name that only begins like one.
    private var octets: [Int]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            1...3 ~= part.utf8.count && part.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? Int(part) : nil
        }
        guard parts.count == 4, numbers.count == 4, numbers.allSatisfy({ $0 < 256 }) else { return nil }
        return numbers
    }

    /// Whether it names this machine alone.
    var isLoopback: Bool {
        text == "localhost" || text == "::1" || octets?.first == 127
    }

    /// Whether it is a name without dots, which nobody on the internet can own.
    var isSingleLabel: Bool { !text.contains(".") && !text.contains(":") }

    /// Whether its form says that it is a host of this deployment: loopback, a private address, or
    /// a name that only a resolver of its own knows.
    var isWithinDeployment: Bool {
        if isLoopback || isSingleLabel { return true }
        if let octets {
            switch (octets[0], octets[1]) {
            case (10, _), (172, 16...31), (192, 168), (169, 254), (100, 64...127): return true
            default: return false
            }
        }
        // fc00::/7 and fe80::/10.
        if text.contains(":") { return ["fc", "fd", "fe8", "fe9", "fea", "feb"].contains { text.hasPrefix($0) } }
        return [".internal", ".local", ".svc", ".localhost"].contains { text.hasSuffix($0) }
    }
}
