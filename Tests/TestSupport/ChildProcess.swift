public import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A program that a test starts, with its output in a file. What a test forgets to stop is killed when the tests end.
public final class ChildProcess: Sendable {
    private let process: Mutex<Process>
    public let pid: pid_t
    private let logFile: URL

    /// - Parameters:
    ///   - program: A name in the PATH, or a path.
    ///   - environment: The whole environment; nil for the test's own.
    public init(_ program: String, _ arguments: [String], environment: [String: String]? = nil, directory: URL) throws {
        let child = Process()
        child.executableURL = try Self.find(program)
        child.arguments = arguments
        if let environment { child.environment = environment }
        child.currentDirectoryURL = directory
        logFile = directory.appending(path: "\(URL(filePath: program).lastPathComponent).\(UUID().uuidString.prefix(8)).log")
        guard FileManager.default.createFile(atPath: logFile.path, contents: nil) else {
            throw NeverHappened(description: "\(logFile.path) cannot be made")
        }
        let log = try FileHandle(forWritingTo: logFile)
        child.standardOutput = log
        child.standardError = log
        child.standardInput = FileHandle.nullDevice
        try child.run()
        pid = child.processIdentifier
        process = Mutex(child)
        Self.remember(pid)
    }

    public var isRunning: Bool { process.withLock { $0.isRunning } }
    public var log: String { (try? String(contentsOf: logFile, encoding: .utf8)) ?? "" }

    public func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    /// The exit code, or minus the signal that ended it.
    public func ended(timeout: Duration = .seconds(40)) async throws -> Int32 {
        try await eventually("process \(pid) ends", timeout: timeout) { !isRunning }
        Self.forget(pid)
        return process.withLock { $0.terminationReason == .exit ? $0.terminationStatus : -$0.terminationStatus }
    }

    /// The first group of `pattern` in the log, once it stands there.
    public func line<Output>(_ pattern: Regex<(Substring, Output)>, timeout: Duration = .seconds(20)) async throws -> Output {
        var found: Output?
        try await eventually("the log of process \(pid) shows what is waited for; it shows: \(log.suffix(2000))", timeout: timeout) {
            found = log.firstMatch(of: pattern)?.output.1
            if found == nil, !isRunning { throw NeverHappened(description: "process \(pid) ended early: \(log.suffix(2000))") }
            return found != nil
        }
        guard let found else { throw NeverHappened(description: "no such line") }
        return found
    }

    public static func find(_ program: String) throws -> URL {
        if program.hasPrefix("/") { return URL(filePath: program) }
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin:/usr/bin:/bin"
        for directory in path.split(separator: ":") where FileManager.default.isExecutableFile(atPath: "\(directory)/\(program)") {
            return URL(filePath: "\(directory)/\(program)")
        }
        throw NeverHappened(description: "\(program) is not installed; make test installs it")
    }

    // MARK: Left-overs

    private static let running = Mutex<Set<pid_t>>([])
    private static let cleanup: Void = {
        atexit { ChildProcess.killAll() }
    }()

    private static func remember(_ pid: pid_t) {
        _ = cleanup
        running.withLock { _ = $0.insert(pid) }
    }

    private static func forget(_ pid: pid_t) {
        running.withLock { _ = $0.remove(pid) }
    }

    private static func killAll() {
        for pid in running.withLock({ $0 }) { kill(pid, SIGKILL) }
    }
}

/// A folder of its own for a test, under the system's temporary one.
public func temporaryDirectory() throws -> URL {
    // Short, since unix sockets have at most 107 bytes.
    let url = FileManager.default.temporaryDirectory.appending(path: "art-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url
}
