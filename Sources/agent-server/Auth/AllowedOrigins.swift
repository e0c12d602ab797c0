/// The web pages of other hosts that may use the server.
///
/// Browsers name a page's origin in `Origin` (https://fetch.spec.whatwg.org/#origin-header). An
/// origin is allowed only if it equals one of the list: a prefix or a pattern would also match
/// names that others can register.
struct AllowedOrigins: Sendable, Equatable {
    static let empty = AllowedOrigins(list: [])
    /// Every origin. A server with keys refuses it.
    static let any = AllowedOrigins(isAny: true, list: [])

    private(set) var isAny = false
    /// The origins in the form that browsers write.
    private(set) var list: Set<String>

    var isEmpty: Bool { !isAny && list.isEmpty }

    /// Returns whether a page of this origin may use the server; false for a request without one.
    func allow(_ origin: String?) -> Bool {
        guard let origin else { return false }
        return isAny || list.contains(origin)
    }

    /// Reads origins, separated by commas, or `*`; nil if one of them is not an origin.
    init?(_ text: String) {
        if text.trimmingSpaces == "*" {
            self = .any
            return
        }
        list = []
        for entry in text.split(separator: ",") {
            guard let origin = Self.origin(entry.trimmingSpaces) else { return nil }
            list.insert(origin)
        }
    }

    private init(isAny: Bool = false, list: Set<String>) {
        self.isAny = isAny
        self.list = list
    }

    private static let defaultPorts = ["http": ":80", "https": ":443"]

    /// Returns `SCHEME://HOST[:PORT]` as browsers write it: in lower case, without the scheme's own
    /// port. Nil for anything else, such as a path or a slash at the end.
    private static func origin(_ text: String) -> String? {
        let text = text.lowercased()
        guard let mark = text.firstRange(of: "://") else { return nil }
        let (scheme, authority) = (text[..<mark.lowerBound], text[mark.upperBound...])
        guard let first = scheme.utf8.first, 0x61...0x7A ~= first, scheme.utf8.allSatisfy(isSchemeByte),
            HostName(authority: authority) != nil
        else { return nil }
        guard let port = defaultPorts[String(scheme)], authority.hasSuffix(port) else { return text }
        return String(text.dropLast(port.count))
    }

    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x30...0x39, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }
}
