import Foundation
import Logging
import NIOCore
import SessionStore
import Synchronization
import TestSupport
import Testing

@testable import agent_server

#if canImport(Glibc)
import Glibc
#endif

@Suite("The log writer's bounded queue", .tags(.processes), .serialized)
struct LogWriterTests {
    @Test("The number of dropped lines says how many told of security events")
    func droppedLines() {
        var dropped = DroppedLines()
        let event = LogEvent(level: .notice, message: "x", metadata: nil, source: "here", file: "f", function: "g", line: 1)
        func record(_ label: String) -> LogRecord { LogRecord(time: Date(), label: label, event: event, context: [:]) }
        dropped.add(record("agent-server"))
        #expect(dropped.count == 1 && dropped.report.event.metadata == ["count": "1"])
        dropped.add(dropped, [record("audit"), record("agent-server")])
        #expect(dropped.report.event.metadata == ["count": "4", "audit": "1"])
    }

    /// A pipe whose content the test reads when it chooses.
    final class Pipe: Sendable {
        let reading: Int32
        let writing: Int32

        init() throws {
            // The server ignores SIGPIPE as well. A writer's thread may outlive its test and the
            // reading end.
            signal(SIGPIPE, SIG_IGN)
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else { throw NeverHappened(description: "a pipe") }
            (reading, writing) = (ends[0], ends[1])
        }

        deinit {
            close(reading)
            close(writing)
        }

        /// Returns the pipe's content.
        func read() -> String {
            _ = fcntl(reading, F_SETFL, O_NONBLOCK)
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            var text = ""
            while true {
                let count = Glibc.read(reading, &bytes, bytes.count)
                guard count > 0 else { return text }
                text += String(decoding: bytes[..<count], as: UTF8.self)
            }
        }

        /// Fills the pipe, so that the next writer blocks.
        func fill() {
            _ = fcntl(writing, F_SETFL, O_NONBLOCK)
            let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: 4096)
            while write(writing, bytes, bytes.count) > 0 {}
            while write(writing, bytes, 1) > 0 {}
            _ = fcntl(writing, F_SETFL, 0)
        }
    }

    private func logger(_ writer: LogWriter) -> Logger {
        Logger(label: "test") { QueuedLogHandler(label: $0, writer: writer) }
    }

    @Test("Lines are written in order")
    func linesComeInTheirOrder() async throws {
        let pipe = try Pipe()
        let writer = LogWriter(format: .text, limit: 10_000, descriptor: pipe.writing)
        let logger = logger(writer)
        for index in 0..<500 { logger.info("line \(index).") }
        writer.finish(timeout: .seconds(20))
        let lines = pipe.read().split(separator: "\n")
        #expect(lines.count == 500)
        for (index, line) in lines.enumerated() { #expect(line.hasSuffix(" line \(index).")) }
        // The writer's thread has ended, and has written every line.
        logger.info("the last word")
        #expect(pipe.read().contains("the last word"))
    }

    @Test("A full pipe blocks no writer, and dropped lines are counted")
    func aPipeThatIsFullStopsNoOneAndWhatIsDroppedIsCounted() async throws {
        let pipe = try Pipe()
        pipe.fill()
        let writer = LogWriter(format: .json(replica: "r"), limit: 100, descriptor: pipe.writing)
        let logger = logger(writer)
        // The thread takes at most one batch before it blocks.
        try await within(.seconds(20), "nobody waits for the pipe") { for index in 0..<5000 { logger.info("\(index)") } }
        var text = ""
        try await eventually("the thread is done with what waited") {
            text += pipe.read()
            return text.contains("\"99\"") || text.contains("\"message\":\"4")
        }
        logger.info("after")
        try await eventually("the rest") {
            text += pipe.read()
            return text.contains("\"after\"")
        }
        writer.finish(timeout: .seconds(20))
        text += pipe.read()
        let objects = try text.drop { $0 == "#" }.split(separator: "\n").map { try JSON(String($0)) }
        let dropped = objects.filter { $0["message"].string?.hasPrefix("log lines were dropped") == true }
            .compactMap { $0["count"].string.flatMap { Int($0) } }.reduce(0, +)
        let written = objects.filter { $0["message"].string.flatMap { Int($0) } != nil }.count
        #expect(written + dropped == 5000 && dropped > 4000, "\(written) written, \(dropped) dropped")
    }

    @Test("A full pipe does not delay the exit")
    func anEndIsNotHeldUpByAFullPipe() async throws {
        let pipe = try Pipe()
        pipe.fill()
        let writer = LogWriter(format: .text, limit: 100, descriptor: pipe.writing)
        logger(writer).info("x")
        try await within(.seconds(20), "it ends") { writer.finish(timeout: .milliseconds(50)) }
        _ = pipe.read()
    }

    @Test("A server still responds when its log pipe has no reader")
    func aServerWhoseLogNobodyReadsStillAnswers() async throws {
        let redis = try await RedisServer.shared()
        let directory = try temporaryDirectory()
        let fifo = directory.appending(path: "log").path
        guard mkfifo(fifo, 0o600) == 0 else { throw NeverHappened(description: "a fifo") }
        // The test holds the pipe open, so that the server can open it.
        let reader = open(fifo, O_RDWR | O_CLOEXEC)
        defer { close(reader) }
        let port = try freePort()
        let process = try ChildProcess(
            "/bin/sh", ["-c", "exec \"$0\" 2>\"$1\"", try Replica.executable().path, fifo],
            environment: [
                "PORT": "\(port)", "AGENT_RUNTIME__REDIS_URL": redis.url, "AGENT_RUNTIME__LOG_QUEUE": "64",
                "AGENT_RUNTIME__LOG_LEVEL": "debug", "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "0",
            ], directory: directory)
        let client = AgentClient(url: "http://127.0.0.1:\(port)")
        try await eventually("it is ready") { (try? await client.get("/health/ready").status) == 200 }
        // Each line has about 200 bytes, and a pipe holds 64 KiB.
        for _ in 0..<1000 { #expect(try await client.get("/health").status == 200) }
        #expect(try await client.say("hello", in: SessionID.unique().text).done["status"] == "completed")
        process.signal(SIGTERM)
        #expect(try await process.ended(timeout: .seconds(20)) == 0)
    }
}
