import HTTPTypes
import Hummingbird
import Locks
import Logging
import NIOCore

/// A model server that speaks OpenAI's wire format over real HTTP. It refuses each request that the
/// server of its ``Personality`` would refuse.
public final class Upstream: Sendable {
    public typealias Script = @Sendable (UpstreamRequest) async -> UpstreamAnswer

    private struct State {
        var requests: [UpstreamRequest] = []
        var violations: [String] = []
        var open = 0
        var closedEarly = 0
    }

    public let personality: Personality
    private let state = Guarded(State())
    private let script: Guarded<Script>
    private let portNumber = Guarded(0)
    private let keepsRequests: Bool
    private let task = Guarded<Task<Void, any Error>?>(nil)

    public var port: Int { portNumber.withLock { $0 } }
    public var url: String { "http://127.0.0.1:\(port)" }
    /// The address that `agent-server` gets as its model's.
    public var baseURL: String { personality.baseURL(at: url) }
    /// All requests so far, including those that the server refused.
    public var requests: [UpstreamRequest] { state.withLock { $0.requests } }
    /// The reasons of all refusals. A test that expects no refusal asserts that this is empty.
    public var violations: [String] { state.withLock { $0.violations } }
    /// The number of responses that the server is writing now.
    public var openAnswers: Int { state.withLock { $0.open } }
    /// The number of responses whose client closed the connection before their end.
    public var closedEarly: Int { state.withLock { $0.closedEarly } }

    private init(_ script: @escaping Script, as personality: Personality, keepsRequests: Bool) {
        self.personality = personality
        self.script = Guarded(script)
        self.keepsRequests = keepsRequests
    }

    /// Starts a server and waits until it listens.
    ///
    /// - Parameters:
    ///   - personality: The server that this one imitates.
    ///   - port: The port to listen on; 0 for a free port.
    ///   - keepsRequests: Whether to keep the requests for ``requests``.
    ///   - script: Makes the response to each request that the personality accepts.
    public static func start(
        as personality: Personality = .plain, port: Int = 0, keepsRequests: Bool = true,
        _ script: @escaping Script = { _ in .text("Hello", ", ", "world") }
    ) async throws -> Upstream {
        let upstream = Upstream(script, as: personality, keepsRequests: keepsRequests)
        try await upstream.run(port: port)
        return upstream
    }

    public func answer(_ script: @escaping Script) {
        self.script.withLock { $0 = script }
    }

    public func stop() {
        task.withLock { $0?.cancel() }
    }

    private func run(port: Int) async throws {
        let router = Router(context: BasicRequestContext.self)
        // The handler takes every path, so that the personality refuses unknown ones in its
        // server's form.
        router.post("/**") { request, _ in try await self.respond(request) }
        var quiet = Logger(label: "upstream")
        quiet.logLevel = .critical
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port), backlog: 4096),
            onServerRunning: { channel in self.portNumber.withLock { $0 = channel.localAddress?.port ?? 0 } }, logger: quiet)
        // The task lives until `stop()` or until the process ends. Nothing awaits it.
        let running = Task { try await application.run() }
        task.withLock { $0 = running }
        try await eventually("the upstream listens") { self.port != 0 }
    }

    private func respond(_ request: Request) async throws -> Response {
        let raw = try await request.body.collect(upTo: 64 << 20)
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        let received = UpstreamRequest(path: request.uri.path, query: request.uri.query, headers: headers, raw: raw)
        let refusal = personality.refusal(of: received)
        state.withLock { state in
            if keepsRequests { state.requests.append(received) }
            if let refusal { state.violations.append(refusal.message) }
        }
        if let refusal { return response(personality.answer(refusal)) }
        return response(await script.withLock { $0 }(received))
    }

    private func response(_ answer: UpstreamAnswer) -> Response {
        var headers: HTTPFields = [.contentType: answer.contentType]
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        return Response(
            status: .init(code: answer.status), headers: headers,
            body: ResponseBody { writer in
                self.state.withLock { $0.open += 1 }
                defer { self.state.withLock { $0.open -= 1 } }
                do {
                    for part in answer.parts { try await self.write(part, to: &writer) }
                    try await writer.finish(nil)
                } catch {
                    self.state.withLock { $0.closedEarly += 1 }
                    throw error
                }
            })
    }

    private func write(_ part: UpstreamAnswer.Part, to writer: inout any ResponseBodyWriter) async throws {
        switch part {
        case .bytes(let bytes): try await writer.write(bytes)
        case .gate(let gate): await gate.pass()
        case .pause(let duration): try await Task.sleep(for: duration)
        case .hangUp: throw HungUp()
        case .silence:
            // The writer would learn of a closed connection only through a write. Nothing is
            // written here, so the task sleeps until it is cancelled.
            while true { try await Task.sleep(for: .seconds(3600)) }
        }
    }

    private struct HungUp: Error {}
}
