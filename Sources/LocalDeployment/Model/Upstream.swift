import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// A model server that speaks OpenAI's wire format over real HTTP and refuses what OpenAI would refuse, with a 400.
public final class Upstream: Sendable {
    public typealias Script = @Sendable (UpstreamRequest) async -> UpstreamAnswer

    private struct State {
        var requests: [UpstreamRequest] = []
        var violations: [String] = []
        var open = 0
        var closedEarly = 0
    }

    private let state = Mutex(State())
    private let script: Mutex<Script>
    private let portNumber = Mutex(0)
    private let keepsRequests: Bool
    private let task = Mutex<Task<Void, any Error>?>(nil)

    public var port: Int { portNumber.withLock { $0 } }
    public var url: String { "http://127.0.0.1:\(port)" }
    /// Every request so far, the refused ones included.
    public var requests: [UpstreamRequest] { state.withLock { $0.requests } }
    /// Why requests were refused. A test that expects none asserts so.
    public var violations: [String] { state.withLock { $0.violations } }
    /// Answers that are being written.
    public var openAnswers: Int { state.withLock { $0.open } }
    /// Answers whose reader left before their end.
    public var closedEarly: Int { state.withLock { $0.closedEarly } }

    private init(_ script: @escaping Script, keepsRequests: Bool) {
        self.script = Mutex(script)
        self.keepsRequests = keepsRequests
    }

    /// - Parameter keepsRequests: Whether ``requests`` is wanted.
    public static func start(
        keepsRequests: Bool = true, _ script: @escaping Script = { _ in .text("Hello", ", ", "world") }
    ) async throws -> Upstream {
        let upstream = Upstream(script, keepsRequests: keepsRequests)
        try await upstream.run()
        return upstream
    }

    public func answer(_ script: @escaping Script) {
        self.script.withLock { $0 = script }
    }

    public func stop() {
        task.withLock { $0?.cancel() }
    }

    private func run() async throws {
        let router = Router(context: BasicRequestContext.self)
        router.post("/v1/chat/completions") { request, _ in try await self.respond(request) }
        var quiet = Logger(label: "upstream")
        quiet.logLevel = .critical
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0), backlog: 4096),
            onServerRunning: { channel in self.portNumber.withLock { $0 = channel.localAddress?.port ?? 0 } }, logger: quiet)
        // Lives as long as the test process, or until stop(): nothing waits for it.
        let running = Task { try await application.run() }
        task.withLock { $0 = running }
        try await eventually("the upstream listens") { port != 0 }
    }

    private func respond(_ request: Request) async throws -> Response {
        let raw = try await request.body.collect(upTo: 64 << 20)
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        let received = UpstreamRequest(path: request.uri.path, headers: headers, raw: raw, body: (try? JSON(parsing: raw)) ?? .null)
        let violation = received.violation
        state.withLock { state in
            if keepsRequests { state.requests.append(received) }
            if let violation { state.violations.append(violation) }
        }
        if let violation { return response(.error(400, "upstream refuses: \(violation)")) }
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
