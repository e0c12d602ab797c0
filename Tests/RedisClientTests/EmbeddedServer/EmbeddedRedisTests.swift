import Foundation
import Locks
import TestSupport
import Testing

@testable import RedisClient

@Suite("The private Redis", .tags(.processes), .serialized)
struct EmbeddedRedisTests {
    let directory: String

    init() throws {
        directory = try temporaryDirectory().path + "/redis/data"
    }

    /// Returns the server's replies to commands, one after another.
    func answers(_ embedded: EmbeddedRedis, _ commands: RedisCommand...) async throws -> [RedisReply] {
        let connection = try await RedisConnection.open(embedded.configuration).ready()
        defer { connection.shutDown() }
        return try await connection.send(pipeline: commands).map { try $0.get() }
    }

    /// Returns the ids of the redis-server processes with this test's socket.
    func servers() throws -> [pid_t] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.filter { pid in
            // A zombie has no command line. A running Redis sets its own title, which contains the
            // socket.
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
            return String(decoding: data, as: UTF8.self).contains(directory + "/redis.sock")
        }
    }

    @Test("Data survives a stop and a start")
    func keepsItsDataOverAStopAndAStart() async throws {
        let first = EmbeddedRedis(directory: directory, logger: .quiet)
        try await first.start()
        let permissions = try FileManager.default.attributesOfItem(atPath: directory)[.posixPermissions] as? Int
        #expect(permissions == 0o700)
        #expect(first.redisCLI == "redis-cli -s \(directory)/redis.sock")
        let replies = try await answers(first, RedisCommand("SET", "k", "survives"), RedisCommand("CONFIG", "GET", "maxmemory-policy"))
        #expect(replies[0].string == "OK")
        #expect(replies[1][1]?.string == "noeviction")
        #expect(try servers().count == 1)
        await first.stop()
        try await eventually("the server is gone") { try servers().isEmpty }

        let second = EmbeddedRedis(directory: directory, logger: .quiet)
        try await second.start()
        #expect(try await answers(second, RedisCommand("GET", "k"))[0].string == "survives")
        await second.stop()
        try await eventually("the server is gone") { try servers().isEmpty }
        // A second stop has no effect.
        await second.stop()
    }

    @Test("A server left behind by a crash is adopted and stopped")
    func takesOverAServerThatWasLeftBehindAndStopsIt() async throws {
        let log = LogCollector()
        try DataDirectory(directory).prepare()
        let orphan = try ChildProcess(
            "redis-server", ["--port", "0", "--unixsocket", directory + "/redis.sock", "--dir", directory, "--appendonly", "yes"],
            directory: URL(filePath: directory))
        try await eventually("it serves") { FileManager.default.fileExists(atPath: directory + "/redis.sock") }
        _ = try await answers(EmbeddedRedis(directory: directory, logger: .quiet), RedisCommand("SET", "k", "old"))
        let left = try servers()

        let embedded = EmbeddedRedis(directory: directory, logger: log.logger)
        try await embedded.start()
        #expect(try servers() == left)
        #expect(log.text.contains("taking over"))
        #expect(try await answers(embedded, RedisCommand("GET", "k"))[0].string == "old")
        await embedded.stop()
        #expect(try await orphan.ended() == 0)
        try await eventually("the server is gone") { try servers().isEmpty }
    }

    /// Without the lock, two processes could stop each other's server, or write to the same file.
    @Test("A directory has one owner")
    func aDirectoryHasOneOwner() async throws {
        let owner = EmbeddedRedis(directory: directory, logger: .quiet)
        try await owner.start()
        let error = await #expect(throws: EmbeddedRedisError.self) { try await EmbeddedRedis(directory: directory, logger: .quiet).start() }
        #expect(error?.description.contains("in use") == true)
        #expect(try await answers(owner, RedisCommand("PING"))[0].string == "PONG")
        #expect(try servers().count == 1)
        await owner.stop()
    }

    @Test("A stale socket does not prevent a start")
    func theSocketOfAKilledServerIsNoObstacle() async throws {
        let killed = EmbeddedRedis(directory: directory, logger: .quiet)
        try await killed.start()
        _ = try await answers(killed, RedisCommand("CONFIG", "SET", "appendfsync", "always"), RedisCommand("SET", "k", "synced"))
        for pid in try servers() { kill(pid, SIGKILL) }
        try await eventually("the server is gone") { try servers().isEmpty }
        #expect(FileManager.default.fileExists(atPath: directory + "/redis.sock"))

        let embedded = killed
        try await embedded.start()
        #expect(try await answers(embedded, RedisCommand("GET", "k"))[0].string == "synced")
        await embedded.stop()
        try await eventually("the server is gone") { try servers().isEmpty }
    }

    @Test("A path too long for a socket is an error that says so")
    func aPathThatIsTooLongForASocketIsAnErrorThatSaysSo() async throws {
        let long = directory + "/" + String(repeating: "x", count: 104 - directory.utf8.count - "//redis.sock".utf8.count)
        let embedded = EmbeddedRedis(directory: long, logger: .quiet)
        let error = await #expect(throws: EmbeddedRedisError.self) { try await embedded.start() }
        #expect(error?.description.contains("longer than the 103 bytes") == true)
        #expect(!FileManager.default.fileExists(atPath: long))

        // With one byte less, the path is short enough, and a client can reach the server.
        let fits = EmbeddedRedis(directory: String(long.dropLast()), logger: .quiet)
        try await fits.start()
        #expect(try await answers(fits, RedisCommand("PING"))[0].string == "PONG")
        await fits.stop()
    }

    @Test("A directory that cannot be made is an error that says so")
    func aDirectoryThatCannotBeMadeIsAnErrorThatSaysSo() async throws {
        let file = try temporaryDirectory().path + "/file"
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        let error = await #expect(throws: EmbeddedRedisError.self) {
            try await EmbeddedRedis(directory: file + "/data", logger: .quiet).start()
        }
        #expect(error?.description.contains("cannot be made") == true)
    }

    /// Redis cannot read its file and ends at once.
    @Test("A server that does not start is an error that names the log")
    func aServerThatDoesNotStartIsAnErrorThatSaysWhereToLook() async throws {
        try DataDirectory(directory).prepare()
        try FileManager.default.createDirectory(atPath: directory + "/appendonlydir", withIntermediateDirectories: true)
        try "garbage\n".write(to: URL(filePath: directory + "/appendonlydir/appendonly.aof.manifest"), atomically: true, encoding: .utf8)
        let embedded = EmbeddedRedis(directory: directory, logger: .quiet)
        let error = try await within(.seconds(20), "the error") { () -> (any Error)? in
            do { try await embedded.start() } catch { return error }
            return nil
        }
        let words = (error as? EmbeddedRedisError)?.description ?? ""
        #expect(words.contains("\(directory)/redis.log") && words.contains("manifest"), "\(words)")
        #expect(try servers().isEmpty)
    }

    /// A person, or the system's shutdown, sends SIGTERM to Redis.
    @Test("The server receives SIGTERM")
    func theServerHearsSIGTERM() async throws {
        let embedded = EmbeddedRedis(directory: directory, logger: .quiet)
        try await embedded.start()
        _ = try await answers(embedded, RedisCommand("SET", "k", "v"))
        for pid in try servers() { kill(pid, SIGTERM) }
        try await eventually("the server is gone") { try servers().isEmpty }
        try await embedded.start()
        #expect(try await answers(embedded, RedisCommand("GET", "k"))[0].string == "v")
        await embedded.stop()
    }

    /// Afterwards, the process ends.
    @Test("Without redis-server the error says what to install")
    func withoutRedisServerTheErrorSaysWhatToInstall() async throws {
        let process = try Replica.launch(redis: nil, environment: ["PATH": "/nonexistent"])
        #expect(try await process.ended() != 0)
        #expect(process.log.contains("redis-server is not installed"))
    }

    // MARK: A supervised server

    /// Runs the service during `body`, as a server does.
    private func keeping(_ embedded: EmbeddedRedis, _ body: () async throws -> Void) async throws {
        let keeper = Task { try await embedded.run() }
        defer { keeper.cancel() }
        try await body()
        keeper.cancel()
        try await keeper.value
    }

    private func killServers() throws {
        for pid in try servers() { kill(pid, SIGKILL) }
    }

    @Test("An adopted server that ends is restarted")
    func aServerThatWasTakenOverIsStartedAgain() async throws {
        let first = EmbeddedRedis(directory: directory, logger: .quiet)
        try await first.start()
        _ = try await answers(first, RedisCommand("CONFIG", "SET", "appendfsync", "always"), RedisCommand("SET", "k", "v"))
        // The former owner has ended, and the redis-server still runs.
        first.ownership.withLock { $0 = nil }
        let log = LogCollector()
        let embedded = EmbeddedRedis(directory: directory, logger: log.logger)
        try await embedded.start()
        #expect(log.text.contains("taking over"))
        try await keeping(embedded) {
            let old = try servers()
            try killServers()
            try await eventually("another one runs") { try !servers().isEmpty && servers() != old }
            #expect(try await answers(embedded, RedisCommand("GET", "k"))[0].string == "v")
            #expect(log.text.contains("has ended") && log.text.contains("\(directory)/redis.log"))
        }
        try await eventually("the server is gone") { try servers().isEmpty }
    }

    /// Otherwise it would still run after the test.
    @Test("An adopted server that hangs is killed")
    func aServerThatWasTakenOverAndHangsIsEnded() async throws {
        let first = EmbeddedRedis(directory: directory, logger: .quiet)
        try await first.start()
        first.ownership.withLock { $0 = nil }
        let embedded = EmbeddedRedis(directory: directory, logger: .quiet)
        try await embedded.start()
        for pid in try servers() { kill(pid, SIGSTOP) }
        try await within(.seconds(60), "the stop") { await embedded.stop() }
        #expect(try servers().isEmpty)
    }

    /// Redis cannot read its file. The log quotes Redis's last line, and the pauses between
    /// attempts grow.
    @Test("A server that cannot restart is retried with pauses")
    func aServerThatCannotStartAgainIsTriedWithPauses() async throws {
        let log = LogCollector()
        let embedded = EmbeddedRedis(directory: directory, logger: log.logger)
        try await embedded.start()
        let manifest = directory + "/appendonlydir/appendonly.aof.manifest"
        let good = try String(contentsOfFile: manifest, encoding: .utf8)
        try await keeping(embedded) {
            try "garbage\n".write(toFile: manifest, atomically: true, encoding: .utf8)
            try killServers()
            func attempts() -> [Substring] { log.text.split(separator: "\n").filter { $0.contains("starting it again") } }
            try await eventually("it was tried three times", timeout: .seconds(30)) { attempts().count >= 3 }
            #expect(attempts()[2].contains("1000") && attempts()[2].contains("AOF manifest"), "\(attempts())")
            try good.write(toFile: manifest, atomically: true, encoding: .utf8)
            try await eventually("it serves", timeout: .seconds(30)) {
                (try? await answers(embedded, RedisCommand("PING"))[0].string) == "PONG"
            }
        }
    }

    /// Redis then refuses `PING`. It still runs, and the server stops it.
    @Test("A server that cannot write its disk still counts as running")
    func aServerThatCannotWriteItsDiskIsThere() async throws {
        let first = EmbeddedRedis(directory: directory, logger: .quiet)
        try await first.start()
        try FileManager.default.createDirectory(atPath: directory + "/dump.rdb/x", withIntermediateDirectories: true)
        _ = try await answers(first, RedisCommand("CONFIG", "SET", "save", "3600 1000000"), RedisCommand("BGSAVE"))
        try await eventually("Redis has failed to save") {
            try await answers(first, RedisCommand("INFO", "persistence"))[0].string?.contains("rdb_last_bgsave_status:err") == true
        }
        first.ownership.withLock { $0 = nil }
        let embedded = EmbeddedRedis(directory: directory, startTimeout: .seconds(5), logger: .quiet)
        try await embedded.start()
        let process = try #require(embedded.process.withLock { $0 })
        #expect(try servers() == [process.identifier])
        #expect(await embedded.sendShutdown(to: process) == .sent)
        #expect(try String(contentsOfFile: directory + "/redis.log", encoding: .utf8).contains("User requested shutdown"))
        _ = try await answers(embedded, RedisCommand("CONFIG", "SET", "save", ""))
        await embedded.stop()
        #expect(try servers().isEmpty)
    }

    /// Another process has replaced the directory of a running server, so that another Redis
    /// replies on the socket.
    @Test("Another owner's server is not stopped")
    func theServerOfAnotherIsNotStopped() async throws {
        let first = EmbeddedRedis(directory: directory, logger: .quiet)
        try await first.start()
        let own = try servers()
        try FileManager.default.moveItem(atPath: directory, toPath: directory + ".old")
        let second = EmbeddedRedis(directory: directory, logger: .quiet)
        try await second.start()
        #expect(try servers().count == 2)
        await first.stop()
        #expect(try servers().count == 1 && servers() != own)
        #expect(try await answers(second, RedisCommand("PING"))[0].string == "PONG")
        await second.stop()
    }

    @Test("No other user can read its files")
    func noOtherUserCanReadWhatItWrites() async throws {
        let embedded = EmbeddedRedis(directory: directory, logger: .quiet)
        try await embedded.start()
        let files = try FileManager.default.subpathsOfDirectory(atPath: directory)
        #expect(files.contains { $0.hasSuffix(".aof") })
        for file in files {
            let mode = try FileManager.default.attributesOfItem(atPath: "\(directory)/\(file)")[.posixPermissions] as? Int ?? 0o777
            #expect(mode & 0o077 == 0, "\(file) has mode \(String(mode, radix: 8))")
        }
        await embedded.stop()
    }

    @Test("A directory that cannot be written is an error that says so")
    func aDirectoryThatCannotBeWrittenSaysSo() async throws {
        try DataDirectory(directory).prepare()
        try FileManager.default.createDirectory(atPath: directory + "/owner.lock", withIntermediateDirectories: true)
        let error = await #expect(throws: EmbeddedRedisError.self) { try await EmbeddedRedis(directory: directory, logger: .quiet).start() }
        #expect(error?.description == "\(directory)/owner.lock cannot be written: Is a directory")
    }
}
