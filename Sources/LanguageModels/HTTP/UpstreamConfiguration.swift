public import NIOCore
public import TransportSecurity

/// Where a model's server is, which keys it is shown, and how long to wait for it. Its description
/// shows no key.
public struct UpstreamConfiguration: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `http` or `https`, as the provider's own page gives it. The ``WireFormat`` appends its path.
    public var baseURL: String
    /// Sent as the ``WireFormat`` wants it.
    public var apiKey: String?
    /// Sent as `X-Internal-Auth`.
    public var internalKey: String?
    /// What TLS trusts and shows.
    public var tls = TLSFiles()
    /// Silence: until the head of the response, and between parts of its body.
    public var idleTimeout = TimeAmount.seconds(60)
    /// A whole generation, from the request to the end.
    public var totalTimeout = TimeAmount.seconds(600)
    /// Opening a connection, TLS included.
    public var connectTimeout = TimeAmount.seconds(5)
    /// How long to wait for `usage` and the end of the stream once the model has finished. Running
    /// out of it is not an error.
    public var trailerTimeout = TimeAmount.seconds(2)
    /// How long an unused connection is kept.
    public var keepAlive = TimeAmount.seconds(60)
    /// The bound on one response's body.
    public var maxResponseBytes = 16 << 20
    /// Connections that may be open at once: the bound on concurrent generations. Further ones wait
    /// for `connectTimeout`, then fail.
    public var maxConnections = 16_384
    /// How much of an error's body is read. Validators repeat what they were sent.
    public var maxErrorBodyBytes = 64 << 10

    /// Makes a configuration. The parameters are the properties of the same names.
    public init(baseURL: String, apiKey: String? = nil, internalKey: String? = nil) {
        self.baseURL = baseURL
        self.apiKey = apiKey
        self.internalKey = internalKey
    }

    public var description: String {
        "UpstreamConfiguration(apiKey: \(apiKey == nil ? "none" : "set"), internalKey: \(internalKey == nil ? "none" : "set"))"
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }

    var limits: ResponseLimits { ResponseLimits(bodyBytes: maxResponseBytes, errorBytes: maxErrorBodyBytes) }

    private var keys: [String] { [apiKey, internalKey].compactMap { $0 } }

    /// Throws if a key cannot stand in a header.
    func checkKeys() throws(UpstreamConfigurationError) {
        for key in keys where key.isEmpty || !key.utf8.allSatisfy({ 0x20...0x7E ~= $0 }) {
            throw UpstreamConfigurationError(description: "a key for the model must be of printable ASCII characters")
        }
    }

    /// Returns `text` without the keys, in case a server repeats what it was sent. A text that was
    /// cut off may end with a part of a key.
    func redacted(_ text: String) -> String {
        var text = text
        // The longer one first: the other may be a part of it.
        for key in keys.sorted(by: { $0.count > $1.count }) where !key.isEmpty {
            text = text.split(separator: key, omittingEmptySubsequences: false).joined(separator: "***")
            let ending = text.hasSuffix("…") ? "…" : ""
            let whole = text.dropLast(ending.count)
            // Fewer than four characters reveal nothing, and end many a word.
            if let length = (4..<max(4, key.count)).last(where: { whole.hasSuffix(key.prefix($0)) }) {
                text = whole.dropLast(length) + "***" + ending
            }
        }
        return text
    }
}

/// A setting that no request could be sent with.
public struct UpstreamConfigurationError: Error, Sendable, CustomStringConvertible {
    /// One sentence; shows no key and no part of the base URL.
    public var description: String
}
