internal import AsyncHTTPClient
public import Logging
public import NIOCore
internal import NIOHTTP1
public import ServiceLifecycle
internal import SessionStore
internal import Synchronization
import TransportSecurity

/// A model behind OpenAI's chat completions API (https://platform.openai.com/docs/api-reference/chat).
///
/// A service: while it runs it keeps connections open; it closes them when it is shut down. List it before what generates with it,
/// so that it stops after that.
public final class OpenAIProvider: LLMProvider, Service {
    public var name: String { "openai" }

    let configuration: Configuration
    /// One for each event loop: a client keeps connections of any loop for any request, and would have the answers cross threads.
    private let clients: [PerEventLoopHTTPClient]
    private let template: HTTPClient.Request
    /// What the server has refused to do without, and taken requests with.
    private let learned = Atomic<UInt8>(0)
    let logger: Logger

    /// - Throws: ``ConfigurationError`` if the base URL is none, a key cannot stand in a header, or
    ///   a file of TLS cannot be used.
    public init(configuration: Configuration, eventLoopGroup: any EventLoopGroup, logger: Logger) throws(ConfigurationError) {
        self.configuration = configuration
        self.logger = logger
        template = try Self.makeTemplate(configuration)
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: HTTPClient.Configuration.Timeout(connect: configuration.connectTimeout),
            connectionPool: HTTPClient.Configuration.ConnectionPool(
                idleTimeout: configuration.keepAlive,
                concurrentHTTP1ConnectionsPerHostSoftLimit: max(1, configuration.maxConnections)
            ),
            decompression: .disabled
        )
        do throws(TLSFileError) {
            settings.tlsConfiguration = try configuration.tls.clientConfiguration()
        } catch {
            throw ConfigurationError(description: error.description)
        }
        // Over HTTP/2 the server's limit of streams on the one connection would make generations wait for each other.
        settings.httpVersion = .http1Only
        // A refused connection is an answer: the caller decides whether to try again.
        settings.connectionPool.retryConnectionEstablishment = false
        // The caller's trace context is passed on by hand; a span that nobody collects costs microseconds.
        settings.tracing.tracer = nil
        clients = eventLoopGroup.makeIterator().map { [settings] in PerEventLoopHTTPClient(eventLoop: $0, configuration: settings) }
    }

    /// The client of the caller's event loop; the first one for a caller on none.
    private var client: PerEventLoopHTTPClient? {
        clients.first { $0.eventLoop.inEventLoop } ?? clients.first
    }

    /// Waits for the graceful shutdown, then closes the connections.
    public func run() async throws {
        try? await gracefulShutdown()
        try await shutdown()
    }

    /// Closes the connections; generations that still run fail. To be called once, where no ``run()`` does it.
    public func shutdown() async throws {
        for client in clients { try await client.http.shutdown() }
    }

    public func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration {
        let generation = HTTPGeneration(self, client: client, receiver: receiver)
        generation.start(request)
        return generation
    }

    /// What the server is known to want otherwise, by setting or by what it has refused.
    var concessions: Concessions { configuration.form.concessions.union(Concessions(rawValue: learned.load(ordering: .relaxed))) }

    /// Remembers, for as long as this process lives, what the server has taken a request with that it had refused without.
    func learn(_ concessions: Concessions) {
        let known = Concessions(rawValue: learned.bitwiseOr(concessions.rawValue, ordering: .relaxed).oldValue)
        if concessions.subtracting(known).contains(.streamOptions) {
            logger.notice("the model's server refuses stream_options: requests go without from now on, and usage may be missing")
        }
        if concessions.subtracting(known).contains(.strictTurns) {
            logger.notice("the model's server wants user and assistant by turns: results that nothing followed get an answer from now on")
        }
    }

    /// The request on the wire, without its body.
    func upstreamRequest(_ request: LLMRequest) -> HTTPClient.Request {
        var upstream = template
        if let traceparent = request.traceparent, TraceParent.isValid(traceparent) {
            upstream.headers.add(name: "traceparent", value: traceparent)
        }
        return upstream
    }

    private static func makeTemplate(_ configuration: Configuration) throws(ConfigurationError) -> HTTPClient.Request {
        var headers = HTTPHeaders([("Content-Type", "application/json"), ("User-Agent", "agent-runtime")])
        headers.add(name: "Accept", value: configuration.stream ? "text/event-stream" : "application/json")
        if let key = configuration.apiKey { headers.add(name: "Authorization", value: "Bearer \(key)") }
        if let key = configuration.internalKey { headers.add(name: "X-Internal-Auth", value: key) }
        for key in [configuration.apiKey, configuration.internalKey].compactMap({ $0 }) {
            guard !key.isEmpty, key.utf8.allSatisfy({ 0x20...0x7E ~= $0 }) else {
                throw ConfigurationError(description: "a key for the model must be of printable ASCII characters")
            }
        }
        guard configuration.baseURL.hasPrefix("http://") || configuration.baseURL.hasPrefix("https://"),
            let request = try? HTTPClient.Request(url: configuration.endpoint, method: .POST, headers: headers)
        else { throw ConfigurationError(description: "must be an http or https URL with a host") }
        return request
    }
}
