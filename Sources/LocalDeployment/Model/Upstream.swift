import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// A model server that speaks OpenAI's wire format over real HTTP, and refuses what the server would refuse that it passes for.
public final class Upstream: Sendable {
    public typealias Script = @Sendable (UpstreamRequest) async -> UpstreamAnswer

    private struct State {
        var requests: [UpstreamRequest] = []
        var violations: [String] = []
        var open = 0
        var closedEarly = 0
    }

    public let personality: Personality
    private let state = Mutex(State())
    private let script: Mutex<Script>
    private let portNumber = Mutex(0)
    private let keepsRequests: Bool
    private let task = Mutex<Task<Void, any Error>?>(nil)

    public var port: Int { portNumber.withLock { $0 } }
    public var url: String { "http://127.0.0.1:\(port)" }
    /// What `agent-server` is given as the address of its model.
    public var baseURL: String { personality.baseURL(at: url) }
    /// Every request so far, the refused ones included.
    public var requests: [UpstreamRequest] { state.withLock { $0.requests } }
    /// Why requests were refused. A test that expects none asserts so.
    public var violations: [String] { state.withLock { $0.violations } }
    /// Answers that are being written.
    public var openAnswers: Int { state.withLock { $0.open } }
    /// Answers whose reader left before their end.
    public var closedEarly: Int { state.withLock { $0.closedEarly } }

    private init(_ script: @escaping Script, as personality: Personality, keepsRequests: Bool) {
        self.personality = personality
        self.script = Mutex(script)
        self.keepsRequests = keepsRequests
    }

    /// - Parameters:
    ///   - personality: Whom the server passes for.
    ///   - port: Where it listens; 0 for a free port.
    ///   - keepsRequests: Whether ``requests`` is wanted.
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
        // What is not there is refused in the server's own form.
        router.post("/**") { request, _ in try await self.respond(request) }
        var quiet = Logger(label: "upstream")
        quiet.logLevel = .critical
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port), backlog: 4096),
            onServerRunning: { channel in self.portNumber.withLock { $0 = channel.localAddress?.port ?? 0 } }, logger: quiet)
        // Lives as long as the test process, or until stop(): nothing waits for it.
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
            // A comment now and then finds out that the other side has closed: the server tells the writer only then.
            // It is sent as an empty write would be refused, so the silence is one of events, not of bytes.
            while true { try await Task.sleep(for: .seconds(3600)) }
        }
    }

    private struct HungUp: Error {}
}
