import AsyncHTTPClient
import Foundation
import Locks
public import NIOCore
import NIOHTTP1
import NIOPosix

/// One event of an event stream, as a client reads it.
public struct ReceivedEvent: Sendable, Hashable, CustomStringConvertible {
    public var id: String?
    public var name: String
    public var data: JSON
    /// When the client read it.
    public var time = ContinuousClock.now

    public init(id: String?, name: String, data: JSON) {
        (self.id, self.name, self.data) = (id, name, data)
    }

    public var description: String { "\(id ?? "-") \(name) \(data)" }
    /// The step that the id names.
    public var step: Int? { id.flatMap { Int($0.prefix { $0 != "-" }) } }

    public static func == (lhs: ReceivedEvent, rhs: ReceivedEvent) -> Bool {
        lhs.id == rhs.id && lhs.name == rhs.name && lhs.data == rhs.data
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(id)
        hasher.combine(name)
        hasher.combine(data)
    }
}

/// A complete HTTP response.
public struct Answer: Sendable {
    public var status: Int
    var headers: HTTPHeaders
    public var body: ByteBuffer
    public var events: [ReceivedEvent] = []

    public var json: JSON { (try? JSON(parsing: body)) ?? .null }
    public var text: String { String(buffer: body) }
    public var code: String? { json["code"].string }

    /// The text deltas, concatenated.
    public var tokens: String { events.compactMap { $0.name == "message" ? $0.data["token"].string : nil }.joined() }
    public var content: String? {
        events.last { $0.data["type"].string == "assistant_message" && $0.data["content"].string != nil }?.data["content"].string
    }
    public var calls: [JSON] { events.map(\.data).filter { $0["type"].string == "tool_call" } }
    public var error: JSON? { events.first { $0.name == "error" }?.data }
    public var done: JSON { events.last.flatMap { $0.name == "done" ? $0.data : nil } ?? .null }
    public var replica: String? { header("X-Agent-Replica") }

    public func header(_ name: String) -> String? { headers.first(name: name) }
}

/// Sends requests to one address of the service, as a gateway does.
public struct AgentClient: Sendable {
    public var url: String
    public var headers: [String: String] = [:]
    /// The longest that a request may take, from its first byte to the response's last.
    public var timeout = TimeAmount.seconds(120)
    private let http: HTTPClient

    /// Creates a client of the service at `url`.
    ///
    /// - Parameter silence: The longest time between two reads of a response, comments included;
    ///   nil for no bound.
    public init(url: String, headers: [String: String] = [:], silence: TimeAmount? = nil) {
        self.url = url
        self.headers = headers
        http = Self.shared.withLock { shared in
            let http = shared[silence] ?? Self.http(silence: silence)
            shared[silence] = http
            return http
        }
    }

    /// One HTTP client for each value of `silence`. It lives as long as the process.
    private static let shared = Guarded<[TimeAmount?: HTTPClient]>([:])

    /// Creates an HTTP client whose connection pool does not limit the number of open streams.
    private static func http(silence: TimeAmount?) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 16_384
        configuration.timeout.connect = .seconds(10)
        configuration.timeout.read = silence
        return HTTPClient(eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: configuration)
    }

    public static func body(_ session: String, _ message: JSON, _ extra: [String: JSON] = [:]) -> JSON {
        .object(["session_id": .string(session), "message": message].merging(extra) { $1 })
    }

    // MARK: Turns

    /// Posts a user message and reads the response to its end.
    public func say(_ text: String, in session: String, _ extra: [String: JSON] = [:], headers: [String: String] = [:]) async throws
        -> Answer
    {
        try await post(Self.body(session, ["type": "user_message", "content": .string(text)], extra), headers: headers)
    }

    /// Posts a tool's result and reads the response to its end.
    public func result(
        _ result: JSON, of call: String, in session: String, _ extra: [String: JSON] = [:], headers: [String: String] = [:]
    ) async throws -> Answer {
        try await post(Self.body(session, ["type": "tool_result", "call_id": .string(call), "result": result], extra), headers: headers)
    }

    public func post(_ body: JSON, headers: [String: String] = [:]) async throws -> Answer {
        try await send("POST", "/agent/message/stream", body: body.text, headers: headers)
    }

    /// Posts a body and returns the response while the server is still writing it.
    public func open(_ body: JSON, headers: [String: String] = [:]) async throws -> OpenAnswer {
        try await open("POST", "/agent/message/stream", body: body.text, headers: headers)
    }

    // MARK: Anything

    public func get(_ path: String, headers: [String: String] = [:]) async throws -> Answer {
        try await send("GET", path, headers: headers)
    }

    public func send(_ method: String, _ path: String, body: String? = nil, headers: [String: String] = [:]) async throws -> Answer {
        var open = try await open(method, path, body: body, headers: headers)
        return try await open.rest()
    }

    public func open(_ method: String, _ path: String, body: String? = nil, headers: [String: String] = [:]) async throws -> OpenAnswer {
        var request = HTTPClientRequest(url: url + path)
        request.method = .init(rawValue: method)
        if let body {
            request.body = .bytes(ByteBuffer(string: body))
            request.headers.add(name: "Content-Type", value: "application/json")
        }
        for (name, value) in self.headers.merging(headers, uniquingKeysWith: { $1 }) {
            request.headers.replaceOrAdd(name: name, value: value)
        }
        return OpenAnswer(try await http.execute(request, timeout: timeout))
    }
}

/// A response that the server is still writing. Dropping it closes the connection.
public struct OpenAnswer {
    public let status: Int
    let headers: HTTPHeaders
    /// The events that the client has read so far.
    public private(set) var events: [ReceivedEvent] = []
    /// The comment lines that the client has read so far.
    public private(set) var comments: [String] = []
    public private(set) var body = ByteBuffer()
    private var iterator: HTTPClientResponse.Body.AsyncIterator
    private var lines: [Substring] = []
    private var scanned = 0
    private var ready: [ReceivedEvent] = []
    private let isEventStream: Bool

    init(_ response: HTTPClientResponse) {
        status = Int(response.status.code)
        headers = response.headers
        isEventStream = response.headers.first(name: "content-type")?.hasPrefix("text/event-stream") ?? false
        iterator = response.body.makeAsyncIterator()
    }

    public func header(_ name: String) -> String? { headers.first(name: name) }

    /// Reads the next event.
    ///
    /// - Returns: Nil at the end of the stream.
    public mutating func next() async throws -> ReceivedEvent? {
        while ready.isEmpty {
            guard let bytes = try await iterator.next() else { return nil }
            body.writeImmutableBuffer(bytes)
            if isEventStream { try parse() }
        }
        let event = ready.removeFirst()
        events.append(event)
        return event
    }

    /// Reads until an event satisfies `condition`.
    @discardableResult
    public mutating func next(where condition: (ReceivedEvent) -> Bool) async throws -> ReceivedEvent {
        while let event = try await next() {
            if condition(event) { return event }
        }
        throw NeverHappened(description: "the stream ended without the event; it held \(events)")
    }

    public mutating func rest() async throws -> Answer {
        while try await next() != nil {}
        return Answer(status: status, headers: headers, body: body, events: events)
    }

    /// Parses the lines that have arrived, as the HTML standard prescribes. Only `\n` ends a line
    /// here, since the server promises to send no other line end.
    private mutating func parse() throws {
        let view = body.readableBytesView
        while let end = view[(view.startIndex + scanned)...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: view[(view.startIndex + scanned)..<end], as: UTF8.self)
            scanned = end + 1 - view.startIndex
            guard !line.isEmpty else {
                try dispatch()
                continue
            }
            lines.append(line[...])
        }
    }

    private mutating func dispatch() throws {
        var event = ReceivedEvent(id: nil, name: "message", data: .null)
        var data: [Substring] = []
        for line in lines {
            if line.hasPrefix(":") {
                comments.append(String(line))
            } else if line.hasPrefix("id: ") {
                event.id = String(line.dropFirst(4))
            } else if line.hasPrefix("event: ") {
                event.name = String(line.dropFirst(7))
            } else if line.hasPrefix("data: ") {
                data.append(line.dropFirst(6))
            } else if !line.hasPrefix("retry: ") {
                throw NeverHappened(description: "this server's event streams hold no such line: \(line)")
            }
        }
        lines = []
        guard !data.isEmpty else { return }
        event.data = try JSON(data.joined(separator: "\n"))
        ready.append(event)
    }
}
