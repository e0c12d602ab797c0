import AsyncHTTPClient
public import Logging
public import NIOCore
import NIOHTTP1
public import ServiceLifecycle
import Synchronization
import TransportSecurity

/// A model behind an HTTP server: keeps connections, clocks and what the server has refused, for
/// any ``WireFormat``.
///
/// A service: while it runs it keeps connections open; it closes them when it is shut down. List it
/// before the services that generate with it, so that it stops after them.
public final class HTTPLanguageModel: LanguageModel, Service {
    let configuration: UpstreamConfiguration
    let format: any WireFormat
    let logger: Logger
    /// One for each event loop: a client keeps connections of any loop for any request, and
    /// responses would cross threads.
    private let clients: [PerEventLoopHTTPClient]
    private let template: HTTPClient.Request
    /// What the server has refused requests without, and taken them with.
    private let learned = Atomic<UInt8>(0)

    /// - Throws: ``UpstreamConfigurationError`` if the base URL is not a URL, a key cannot stand in
    ///   a header, or a file of TLS cannot be used.
    public init(
        format: any WireFormat, configuration: UpstreamConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) throws(UpstreamConfigurationError) {
        self.format = format
        self.configuration = configuration
        self.logger = logger
        template = try Self.template(format, configuration)
        let settings = try Self.settings(configuration)
        clients = eventLoopGroup.makeIterator().map { PerEventLoopHTTPClient(eventLoop: $0, configuration: settings) }
    }

    public func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration {
        let generation = HTTPGeneration(self, client: client, receiver: receiver)
        generation.start(request)
        return generation
    }

    /// Waits for the graceful shutdown, then closes the connections.
    public func run() async throws {
        try? await gracefulShutdown()
        try await shutdown()
    }

    /// Closes the connections; generations that still run fail. To be called once, if ``run()``
    /// does not do it.
    public func shutdown() async throws {
        for client in clients { try await client.http.shutdown() }
    }

    /// The client of the caller's event loop; the first one for a caller on none.
    private var client: PerEventLoopHTTPClient? {
        clients.first { $0.eventLoop.inEventLoop } ?? clients.first
    }

    // MARK: Requests

    /// Returns the request's body, with what the server is known to want.
    func encode(_ request: LLMRequest) -> EncodedRequest {
        format.encode(request, conceding: Concessions(rawValue: learned.load(ordering: .relaxed)))
    }

    /// Returns the request on the wire, without its body.
    func head(of request: LLMRequest) -> HTTPClient.Request {
        var head = template
        if let traceparent = request.traceparent, TraceParent.isValid(traceparent) {
            head.headers.add(name: "traceparent", value: traceparent)
        }
        return head
    }

    /// Remembers, for as long as this process lives, concessions with which the server has taken a
    /// request that it had refused without.
    func learn(_ concessions: Concessions) {
        let known = Concessions(rawValue: learned.bitwiseOr(concessions.rawValue, ordering: .relaxed).oldValue)
        for notice in format.notices(of: concessions.subtracting(known)) { logger.notice("\(notice)") }
    }

    private static func template(
        _ format: any WireFormat, _ configuration: UpstreamConfiguration
    ) throws(UpstreamConfigurationError) -> HTTPClient.Request {
        try configuration.checkKeys()
        var headers = HTTPHeaders([("Content-Type", "application/json"), ("User-Agent", "agent-runtime")])
        headers.add(contentsOf: format.headers(apiKey: configuration.apiKey))
        if let key = configuration.internalKey { headers.add(name: "X-Internal-Auth", value: key) }
        guard configuration.baseURL.hasPrefix("http://") || configuration.baseURL.hasPrefix("https://"),
            let request = try? HTTPClient.Request(url: format.url(base: configuration.baseURL), method: .POST, headers: headers)
        else { throw UpstreamConfigurationError(description: "must be an http or https URL with a host") }
        return request
    }

    private static func settings(_ configuration: UpstreamConfiguration) throws(UpstreamConfigurationError) -> HTTPClient.Configuration {
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
            throw UpstreamConfigurationError(description: error.description)
        }
        // Over HTTP/2 the server's limit of streams on the one connection would make generations
        // wait for each other.
        settings.httpVersion = .http1Only
        // A refused connection is a result: the caller decides whether to try again.
        settings.connectionPool.retryConnectionEstablishment = false
        // The caller's trace context is passed on by hand; a span without a collector costs
        // microseconds.
        settings.tracing.tracer = nil
        return settings
    }
}
