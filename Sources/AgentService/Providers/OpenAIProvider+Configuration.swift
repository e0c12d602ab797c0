public import NIOCore
import SessionStore
public import TransportSecurity

extension OpenAIProvider {
    /// Where the model is and how long to wait for it. Its description shows no key.
    public struct Configuration: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        /// `http` or `https`, as the provider's own page gives it. See `EndpointURL` for what is appended.
        public var baseURL: String
        /// Sent as `Authorization: Bearer`.
        public var apiKey: String?
        /// Sent as `X-Internal-Auth`.
        public var internalKey: String?
        /// What TLS trusts and shows.
        public var tls = TLSFiles()
        /// False asks for whole answers. Either way the server may answer in the other form.
        public var stream = true
        /// How requests differ from OpenAI's own.
        public var form = RequestForm()
        /// Whether clients are shown the reasoning as it comes.
        public var showsReasoning = false
        /// Silence: until the head of the answer, and between parts of its body.
        public var idleTimeout = TimeAmount.seconds(60)
        /// A whole generation, from the request to the end.
        public var totalTimeout = TimeAmount.seconds(600)
        /// Opening a connection, TLS included.
        public var connectTimeout = TimeAmount.seconds(5)
        /// How long to wait for `usage` and the end of the stream once the model has finished. Running out of it is no error.
        public var trailerTimeout = TimeAmount.seconds(2)
        /// How long an unused connection is kept.
        public var keepAlive = TimeAmount.seconds(60)
        /// The bound on one answer's body.
        public var maxResponseBytes = 16 << 20
        /// Connections that may be open at once: the bound on concurrent generations. More of them wait for
        /// `connectTimeout`, then fail.
        public var maxConnections = 16_384
        /// How much of an error's body is read. Validators repeat what they were sent.
        public var maxErrorBodyBytes = 64 << 10

        public init(baseURL: String, apiKey: String? = nil, internalKey: String? = nil) {
            self.baseURL = baseURL
            self.apiKey = apiKey
            self.internalKey = internalKey
        }

        public var description: String {
            "OpenAIProvider.Configuration(apiKey: \(apiKey == nil ? "none" : "set"), internalKey: \(internalKey == nil ? "none" : "set"), "
                + "stream: \(stream))"
        }

        public var debugDescription: String { description }
        public var customMirror: Mirror { Mirror(self, children: []) }

        /// The address requests are sent to.
        var endpoint: String { EndpointURL.chatCompletions(of: baseURL) }

        /// `text` without the keys, in case a server repeats what it was sent. A text that was cut off may end with a part of one.
        func redacted(_ text: String) -> String {
            var text = text
            // The longer one first: the other may be a part of it.
            for key in [apiKey, internalKey].compactMap({ $0 }).sorted(by: { $0.count > $1.count }) where !key.isEmpty {
                text = text.split(separator: key, omittingEmptySubsequences: false).joined(separator: "***")
                let ending = text.hasSuffix("…") ? "…" : ""
                let whole = text.dropLast(ending.count)
                // Fewer than four characters tell nothing, and end many a word.
                if let length = (4..<max(4, key.count)).last(where: { whole.hasSuffix(key.prefix($0)) }) {
                    text = whole.dropLast(length) + "***" + ending
                }
            }
            return text
        }
    }

    /// A setting that no request could be sent with.
    public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
        /// One sentence; shows no key and no part of the base URL.
        public var description: String
    }
}
