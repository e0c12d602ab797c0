import Foundation
import TestSupport
import Testing

@testable import RedisClient

/// Tests the directory's owner, its mode, and the files that it may contain.
@Suite("The folder of the private Redis", .tags(.processes), .serialized)
struct DataDirectoryTests {
    private let path: String

    init() throws {
        path = try temporaryDirectory().path + "/data"
    }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("A new folder is accessible to this user alone")
    func oneThatIsMadeIsThisUsersAlone() throws {
        try DataDirectory(path).prepare()
        #expect(try mode(path) == 0o700)
        // The same process can use it again.
        try DataDirectory(path).prepare()
    }

    @Test("A folder that others may open is refused", arguments: [0o755, 0o750, 0o701, 0o777])
    func oneThatOthersMayOpenIsRefused(mode: Int) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        let error = #expect(throws: EmbeddedRedisError.self) { try DataDirectory(path).prepare() }
        let words = error?.description ?? ""
        #expect(words.contains("its mode is \(String(mode, radix: 8))") && words.contains("chmod 700 '\(path)'"), "\(words)")
        // The error's advice works.
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        try DataDirectory(path).prepare()
    }

    @Test("Another user's folder is refused")
    func oneOfAnotherUserIsRefused() throws {
        let error = #expect(throws: EmbeddedRedisError.self) { try DataDirectory(path).prepare(user: geteuid() + 1) }
        #expect(error?.description.contains("belongs to another user (\(geteuid()))") == true)
    }

    @Test("Parts of an append-only file without a manifest are refused")
    func partsOfAFileWithoutItsManifestAreRefused() throws {
        let directory = DataDirectory(path)
        try directory.prepare()
        try directory.checkFiles()
        let folder = path + "/appendonlydir"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try directory.checkFiles()
        #expect(FileManager.default.createFile(atPath: folder + "/appendonly.aof.1.incr.aof", contents: Data("*1".utf8)))
        let error = #expect(throws: EmbeddedRedisError.self) { try directory.checkFiles() }
        #expect(error?.description.contains(folder) == true && error?.description.contains("manifest") == true)
        #expect(FileManager.default.createFile(atPath: folder + "/appendonly.aof.manifest", contents: Data()))
        try directory.checkFiles()
    }

    @Test("The error shows the last line of the log")
    func theLastLineOfTheLogIsTold() throws {
        let directory = DataDirectory(path)
        try directory.prepare()
        let log = directory.file("redis.log")
        #expect(directory.lastWords == "see \(log)")
        try (String(repeating: "x\n", count: 10_000) + "the reason\n\n").write(toFile: log, atomically: true, encoding: .utf8)
        #expect(directory.lastWords == "see \(log), whose last line is: the reason")
        try String(repeating: "y", count: 100_000).write(toFile: log, atomically: true, encoding: .utf8)
        #expect(directory.lastWords.utf8.count < 1_000)
    }

    // MARK: Its lock

    /// If the lock file cannot be created, that does not mean that another server owns the
    /// directory.
    @Test("A lock that cannot be made says why")
    func aLockThatCannotBeMadeSaysWhy() throws {
        try FileManager.default.createDirectory(atPath: path + "/owner.lock", withIntermediateDirectories: true)
        let error = #expect(throws: DirectoryLock.Failure.self) { try DirectoryLock(path: path + "/owner.lock") }
        #expect(error == .unusable("Is a directory"))
        #expect(!DirectoryLock.isHeld(path + "/owner.lock"))
        let missing = #expect(throws: DirectoryLock.Failure.self) { try DirectoryLock(path: path + "/none/owner.lock") }
        #expect(missing == .unusable("No such file or directory"))
        let lock = try DirectoryLock(path: path + "/redis.lock")
        withExtendedLifetime(lock) {
            let held = #expect(throws: DirectoryLock.Failure.self) { try DirectoryLock(path: path + "/redis.lock") }
            #expect(held == .held)
        }
    }

    // MARK: Its server

    @Test("Pauses grow while the server ends at once")
    func pausesGrowWhileAServerEndsAtOnce() {
        var pause = RestartPause()
        var pauses: [Duration] = []
        for _ in 0..<9 { pauses.append(pause.after(lifetime: .milliseconds(20))) }
        #expect(pauses == [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].map { .milliseconds($0) })
        // After a server has run for a while, the pauses begin at zero again.
        #expect(pause.after(lifetime: .seconds(30)) == .zero)
        #expect(pause.after(lifetime: .zero) == .milliseconds(500))
    }

    @Test("A process is known until it ends")
    func aProcessIsKnownUntilItEnds() async throws {
        let child = try ChildProcess("sleep", ["600"], directory: try temporaryDirectory())
        let identity = try #require(ProcessIdentity(child.pid))
        #expect(identity.isRunning && identity == ProcessIdentity(child.pid))
        child.signal(SIGKILL)
        // The id must also notice the end before any caller has asked for the process's status.
        try await eventually("it is gone") { !identity.isRunning }
        try await child.ended()
        #expect(!identity.isRunning && ProcessIdentity(child.pid) == nil && ProcessIdentity(0) == nil)
    }
}
