import Foundation
import Locks
import NIOCore
import NIOPosix
import TestSupport

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore
@testable import agent_server

/// A model inside the test's process, whose events the test decides.
final class PlayedModel: LanguageModel, Sendable {
    typealias Sink = ([LLMEvent]) async throws -> Void
    typealias Script = @Sendable (LLMRequest, Sink) async throws -> Void

    private let script: Guarded<Script>
    private let received = Guarded<[LLMRequest]>([])
    /// Whether a request counts as held until its script has ended; otherwise it counts only until
    /// the script begins.
    private let holdsRequests: Bool

    var requests: [LLMRequest] { received.withLock { $0 } }

    init(holdsRequests: Bool = false, _ script: @escaping Script) {
        self.script = Guarded(script)
        self.holdsRequests = holdsRequests
    }

    func play(_ script: @escaping Script) {
        self.script.withLock { $0 = script }
    }

    func generate(_ request: LLMRequest, receiver: any LLMReceiver) -> any LLMGeneration {
        var kept = request
        kept.share = nil
        received.withLock { $0.append(kept) }
        let script = script.withLock { $0 }
        let played = holdsRequests ? request : kept
        return TaskGeneration(for: receiver) { sink in try await script(played, sink) }
    }

    /// Emits all events and ends.
    static func saying(_ tokens: String..., finish: FinishReason = .stop) -> Script {
        { _, sink in
            for token in tokens { try await sink([.textDelta(token)]) }
            try await sink([.usage(TokenUsage(promptTokens: 9, completionTokens: 12)), .finish(finish)])
        }
    }

    static func calling(_ calls: (id: String, name: String, arguments: String)...) -> Script {
        { _, sink in
            for (index, call) in calls.enumerated() {
                try await sink([.toolCall(index: index, id: call.id, name: call.name, arguments: call.arguments)])
            }
            try await sink([.finish(.toolCalls)])
        }
    }

    /// Emits words until it is cancelled.
    static let endless: Script = { _, sink in
        while true {
            try await sink([.textDelta("word ")])
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}

extension EventLoopExecutors {
    static let shared = EventLoopExecutors(MultiThreadedEventLoopGroup.singleton)
}

/// Turns without HTTP, on a real Redis and with a ``PlayedModel``.
final class Turns: Sendable {
    let session: SessionInRedis
    let model: PlayedModel
    let service: TurnService
    let scheduler: StepScheduler
    /// The accounts that all requests count for.
    let accounts: [Account]
    private let services: Task<Void, any Error>

    init(
        _ session: SessionInRedis, drain: Duration = .seconds(30), maximumSteps: Int = 100,
        holdsRequests: Bool = false, accounts: [Account] = [], _ change: (inout TurnConfiguration) -> Void = { _ in },
        model script: @escaping PlayedModel.Script
    ) {
        self.session = session
        self.accounts = accounts
        model = PlayedModel(holdsRequests: holdsRequests, script)
        var configuration = TurnConfiguration(replica: "owner", systemPrompt: "be brief")
        configuration.logInterval = .milliseconds(5)
        change(&configuration)
        let scheduler = StepScheduler(maximumSteps: maximumSteps, drain: drain, executors: .shared, logger: .quiet)
        let writer = LogFlushTimer(tick: .milliseconds(2))
        self.scheduler = scheduler
        service = TurnService(
            store: session.store, models: ModelCatalog(server: model, defaultModel: "default-model"), scheduler: scheduler,
            flushTimer: writer, keepAlive: KeepAlive(period: .seconds(15)),
            configuration: configuration, logger: .quiet)
        services = Task { try await scheduler.run() }
    }

    deinit {
        services.cancel()
    }

    func post(
        _ message: JSON, _ extra: [String: JSON] = [:], key: String? = nil, lastEventID: String? = nil, traceparent: String? = nil
    ) async throws -> Listener {
        let body = AgentClient.body(session.id.text, message, extra)
        var request = try TurnRequest(
            body: ByteBuffer(string: body.text), tenant: .standard, as: .tenant, idempotencyKey: key, lastEventID: lastEventID,
            traceparent: traceparent)
        request.accounts = accounts
        let listener = Listener()
        try await service.start(request, stream: listener.stream)
        return listener
    }

    /// Posts a message that must fail, and returns its error; nil if it succeeded.
    func refusal(_ text: String, _ extra: [String: JSON] = [:]) async -> TurnError? {
        do {
            _ = try await say(text, extra)
            return nil
        } catch {
            return error as? TurnError
        }
    }

    func say(_ text: String, _ extra: [String: JSON] = [:], key: String? = nil, lastEventID: String? = nil) async throws -> Listener {
        try await post(["content": .string(text)], extra, key: key, lastEventID: lastEventID)
    }

    func result(_ result: JSON, of call: String) async throws -> Listener {
        try await post(["type": "tool_result", "call_id": .string(call), "result": result])
    }

    /// Returns a follower's events from the beginning of a step, when the stream has ended.
    func follow(_ step: Int) async throws -> [Listener.Told] {
        let listener = Listener()
        try service.follow(session.id, from: .beginning(of: step), stream: listener.stream, as: .tenant)
        return try await listener.all()
    }

    func history() throws -> [JSON] { try session.redis.history(session.id) }
}

/// A client of the native stream that reads continuously.
final class Listener: Sendable {
    struct Told: Equatable, CustomStringConvertible {
        var id: String?
        var name: String
        var data: JSON

        var description: String { "\(id ?? "-") \(name) \(data)" }
    }

    let stream = ClientStream(encoder: NativeEncoder())
    private let heard = Heard()
    private let task: Task<Void, Never>

    private final class Heard: Sendable {
        let text = Guarded("")
    }

    init() {
        let (stream, heard) = (stream, heard)
        task = Task {
            while let bytes = await stream.next() { heard.text.withLock { $0 += String(buffer: bytes) } }
        }
    }

    /// Returns the text so far.
    var text: String { heard.text.withLock { $0 } }

    /// Returns the events so far.
    func soFar() throws -> [Told] {
        try heard.text.withLock { $0 }.components(separatedBy: "\n\n").dropLast().filter { !$0.hasPrefix(":") }.map { block in
            var told = Told(id: nil, name: "", data: .null)
            for line in block.split(separator: "\n") {
                let parts = line.split(separator: ": ", maxSplits: 1).map(String.init)
                switch parts.first {
                case "id": told.id = parts.last
                case "event": told.name = parts.last ?? ""
                default: told.data = try JSON(parts.last ?? "")
                }
            }
            return told
        }
    }

    /// Returns all events, once the stream has ended.
    func all() async throws -> [Told] {
        try await task.value("the stream ends")
        return try soFar()
    }

    func tokens() throws -> String { try soFar().compactMap(\.data["token"].string).joined() }
}

extension [Listener.Told] {
    var done: JSON { last?.name == "done" ? last?.data ?? .null : .null }
    var error: JSON { first { $0.name == "error" }?.data ?? .null }
    var content: String? { last { $0.data["content"].string != nil }?.data["content"].string }
    var tokens: String { compactMap { $0.data["token"].string }.joined() }
    var calls: [JSON] { map(\.data).filter { $0["type"] == "tool_call" } }
}
