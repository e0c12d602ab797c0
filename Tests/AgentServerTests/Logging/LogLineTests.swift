import Foundation
import Logging
import NIOCore
import SessionStore
import Synchronization
import TestSupport
import Testing

@testable import agent_server

@Suite("Log lines", .tags(.processes), .serialized)
struct LogLineTests {
    private func record(_ message: Logger.Message, _ metadata: Logger.Metadata, context: Logger.Metadata = [:]) -> LogRecord {
        let event = LogEvent(
            level: .notice, message: message, metadata: metadata, source: "here", file: "f", function: "g", line: 1)
        return LogRecord(time: Date(timeIntervalSince1970: 1_700_000_000.5), label: "agent-server", event: event, context: context)
    }

    private func line(_ format: LogFormat, _ record: LogRecord) -> String {
        var line = ByteBuffer()
        format.write(record, into: &line)
        return String(buffer: line)
    }

    @Test("The time has a date and a zone")
    func theTimeHasItsDateAndItsZone() throws {
        for format in [LogFormat.text, .json(replica: "r")] {
            #expect(line(format, record("x", [:])).contains("2023-11-14T22:13:20.500Z"))
        }
    }

    /// Foundation's formatter is too slow for one line per request.
    @Test("Dates equal those of Foundation's formatter")
    func everyDateIsWrittenAsFoundationWritesIt() {
        var random = SeededGenerator(seed: 7)
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        let odd = [0, 951_782_399, 951_782_400, 951_868_800, 4_107_542_399, 4_107_542_400, 1_709_164_800, 253_402_300_799]
        let times = odd.map(Double.init) + (0..<2000).map { _ in Double(Int.random(in: 0...253_402_300_799, using: &random)) }
        for time in times {
            // A double represents halves of a second exactly.
            let date = Date(timeIntervalSince1970: time + Double(Int.random(in: 0...3, using: &random)) / 4)
            var line = ByteBuffer()
            LogTime.write(date, into: &line)
            #expect(String(buffer: line) == date.formatted(format))
        }
        var line = ByteBuffer()
        for time in [-1, .infinity, 1e18] { LogTime.write(Date(timeIntervalSince1970: time), into: &line) }
        #expect(String(buffer: line) == "1970-01-01T00:00:00.000Z" + String(repeating: "9999-12-31T23:59:59.999Z", count: 2))
    }

    /// A parser of the line would lose one of two members named `time` or `message`.
    @Test("No key occurs twice in a line")
    func noKeyOccursTwice() throws {
        let metadata: Logger.Metadata = [
            "time": "t", "level": "l", "message": "m", "logger": "g", "replica": "p", "meta_time": "own", "plain": "x",
        ]
        let text = line(.json(replica: "r-1"), record("said", metadata, context: ["plain": "y", "step": "3"]))
        let object = try JSON(text)
        #expect(object["message"] == "said" && object["logger"] == "agent-server" && object["replica"] == "r-1")
        #expect(object["meta_message"] == "m" && object["meta_meta_time"] == "t" && object["meta_time"] == "own")
        #expect(object["plain"] == "x" && object["step"] == "3")
        for key in object.object.keys { #expect(text.components(separatedBy: "\"\(key)\":").count == 2, "\(key)") }
        #expect(text.hasSuffix("}\n") && text.filter { $0 == "\n" }.count == 1)
    }

    @Test("Text from clients and models never begins a line of its own")
    func whatOthersSentBeginsNoLineOfItsOwn() {
        let text = line(.text, record("a\nb", ["key": "v\r\n\u{1B}[2Jw\u{2028}"]))
        #expect(text.filter(\.isNewline).count == 1 && !text.contains("\u{1B}"))
        #expect(text.contains(#"key=v\u{d}\u{a}\u{1b}[2Jw\u{2028}"#))
    }

    @Test("Every line of a server is valid JSON")
    func everyLineOfAServerCanBeParsed() async throws {
        let redis = try await RedisServer.shared()
        let replica = try await Replica.start(
            redis: redis.url, name: "r-\u{1F600}",
            environment: ["AGENT_RUNTIME__LOG_FORMAT": "json", "AGENT_RUNTIME__LOG_LEVEL": "debug"])
        #expect(try await replica.client.get("/health").status == 200)
        #expect(try await replica.stop() == 0)
        let lines = try LogLines.of(replica)
        let listening = try #require(lines.first { $0["message"] == "listening" })
        #expect(listening["redis"].string?.contains("127.0.0.1:\(redis.port)") == true)
        #expect(listening["model"] == "the scripted model")
        #expect(lines.last?["message"] == "stopped")
        for line in lines {
            let time = try #require(line["time"].string)
            let date = try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(time)
            #expect(abs(date.timeIntervalSinceNow) < 120, "\(time)")
            #expect(line["logger"] == "agent-server" && line["replica"].string == replica.name && line["level"].string != nil)
        }
    }
}

/// Reads the log lines of a replica with `AGENT_RUNTIME__LOG_FORMAT=json`.
enum LogLines {
    static func of(_ replica: Replica) throws -> [JSON] {
        try of(replica.process)
    }

    static func of(_ process: ChildProcess) throws -> [JSON] {
        // The last line may be incomplete.
        let text = process.log
        return try text.prefix(upTo: text.lastIndex(of: "\n") ?? text.startIndex).split(separator: "\n").map { try JSON(String($0)) }
    }

    /// Waits for the line and returns it.
    static func first(_ replica: Replica, _ what: String, _ condition: (JSON) -> Bool) async throws -> JSON {
        var found: JSON?
        try await eventually("\(what); the log: \(replica.process.log.suffix(3000))") {
            found = try of(replica).first(where: condition)
            return found != nil
        }
        return try #require(found)
    }
}
