import Foundation
import HTTPTypes
import RedisClient
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// Nothing that a client knows of another tenant's session makes a difference: Redis gets the same
/// commands as for an id that does not exist, and the client the same bytes.
@Suite("What another tenant's names give away", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct IsolationTests {
    private let deployment: AccessDeployment
    private let monitor: ChildProcess

    init() async throws {
        deployment = try await AccessDeployment()
        monitor = try ChildProcess(
            "redis-cli", ["-s", deployment.redis.socket, "MONITOR"], directory: try temporaryDirectory())
        let monitor = monitor
        try await eventually("MONITOR runs") { monitor.log.contains("OK") }
    }

    /// Returns the commands so far that name one of these texts, once everything up to now is there.
    private func commands(_ words: String...) async throws -> [String] {
        let mark = "mark-\(UUID().uuidString)"
        try deployment.redis.cli("ECHO", mark)
        try await eventually("MONITOR has the mark") { monitor.log.contains(mark) }
        return monitor.log.split(separator: "\n").map(String.init).filter { line in words.contains { line.contains($0) } }
    }

    /// A command without what differs between two sessions, or between two calls: names of sessions,
    /// buckets of indexes, times, tokens and nonces.
    private func plain(_ command: String, _ session: String) -> String {
        let text = command.drop { $0 != "]" }.replacing(session, with: "ID")
            .replacing(#/(sessions:[^:"]*|running):\d+/#) { "\($0.output.1):B" }
            .replacing(#/"[A-Za-z0-9_-]{20,}"/#, with: "\"TOKEN\"")
            .replacing(#/"[a-z0-9]{4}"/#, with: "\"NONCE\"")
        return String(text.replacing(#/\d{2,}/#, with: "N"))
    }

    private func send(_ endpoint: Endpoint, _ session: String, _ headers: [String: String]) async throws -> Answer {
        let row = try #require(endpoint.access(to: session))
        return try await deployment.client.send(endpoint.method.rawValue, row.path, body: row.body?.text, headers: headers)
    }

    /// The event ids and the key are those of the session's owner.
    @Test("The same commands and the same bytes as for an id that does not exist", arguments: Endpoint.allCases)
    func sameCommands(_ endpoint: Endpoint) async throws {
        guard endpoint.access(to: "s")?.foreign == .noSession || endpoint == .messageStream else { return }
        let session = SessionID.unique().text
        let first = try await deployment.client.say(
            "the words of user-1", in: session, headers: AccessDeployment.headers("owner", ["Idempotency-Key": "shared"]))
        #expect(first.done["status"] == "completed" && first.header("location") == "/agent/sessions/\(session)/stream")
        let event = try #require(first.events.last?.id)
        var seen: [(bytes: String, commands: [String])] = []
        // Redis gets each script's text once.
        _ = try await send(endpoint, SessionID.unique().text, AccessDeployment.headers("foreign"))
        for id in [session, SessionID.unique().text] {
            let headers = AccessDeployment.headers(
                "foreign", ["X-Request-ID": "r", "Last-Event-ID": event, "Idempotency-Key": "shared"])
            let answer = try await send(endpoint, id, headers)
            var bytes = "\(answer.status) \(answer.text)".replacing(id, with: "ID")
            // Streams have ids of their own.
            bytes = bytes.replacing(#/\d+-\d+\.[a-z0-9]{4}/#, with: "EVENT")
            var commands = try await commands("{zed/\(id)}", "zed/\(id)").map { plain($0, id) }
            // Behind its begin, the model's pace decides which commands a step sends.
            if endpoint == .messageStream, let begin = commands.firstIndex(where: { $0.contains("EVALSHA") }) {
                commands.removeSubrange((begin + 1)...)
            }
            seen.append((bytes, commands.sorted()))
        }
        #expect(seen[0].bytes == seen[1].bytes, "\(endpoint)")
        #expect(seen[0].commands == seen[1].commands, "\(endpoint)")
        #expect(!seen[0].commands.isEmpty, "\(endpoint): the request asks Redis")
        #expect(!seen[0].bytes.contains("the words of user-1"))
    }

    @Test("Invented ids reach no key of another tenant", arguments: [11, 12] as [UInt64])
    func inventedIDs(_ seed: UInt64) async throws {
        let session = try await deployment.session()
        var random = SeededGenerator(seed: seed)
        let parts = [
            "acme", "/", "%2F", "%2f", "%252F", "{", "}", "%7B", "%7D", ":", "..", ".", "agent:", "*", "%00", "%0A", " ", "+", "?", "#",
            "\\", "%5C",
            session, "state", "history", "zed", "%C3%A9", "&", "=", ";", "@",
        ]
        var shapes: [String: Set<String>] = [:]
        let before = try await commands("{acme/").count
        for _ in 0..<150 {
            let name = (0..<Int.random(in: 1...5, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
            // What ends a path cannot be a part of an id.
            let path = name.replacing(" ", with: "%20").replacing("?", with: "%3F").replacing("#", with: "%23").replacing("\\", with: "%5C")
                .replacing("{", with: "%7B").replacing("}", with: "%7D")
            for (method, suffix) in [("GET", ""), ("GET", "/history"), ("GET", "/stream"), ("DELETE", ""), ("POST", "/tickets")] {
                let answer = try await deployment.client.send(
                    method, "/agent/sessions/\(path)\(suffix)", headers: AccessDeployment.headers("foreign"))
                #expect(
                    [400, 404, 405].contains(answer.status) || (path.allSatisfy { $0 == "/" } && answer.status == 200),
                    "\(path)\(suffix): \(answer.text)")
                #expect(!answer.text.contains("the words of user-1"))
                if answer.code == "session_not_found" { shapes["\(method) \(suffix)", default: []].insert(answer.text) }
            }
        }
        #expect(shapes.values.allSatisfy { $0.count == 1 }, "\(shapes)")
        // A sweeper may look at the session itself.
        let touched = try await commands("{acme/").dropFirst(before)
        #expect(touched.allSatisfy { $0.contains("{acme/\(session)}") && !$0.contains("zed") }, "\(touched)")
        #expect(try deployment.history(session).count == 3)
    }
}
