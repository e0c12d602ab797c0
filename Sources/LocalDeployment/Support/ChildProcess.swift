public import Foundation
import Locks

#if canImport(Glibc)
import Glibc
#endif

/// A program that a test starts. Its output goes to a file. When the tests end, programs that no
/// test has stopped are killed.
///
/// Foundation's `Process` does not serve here. It learns of a child's end through a socket that
/// every later child inherits, so a server's end goes unnoticed for as long as another server
/// lives.
public final class ChildProcess: Sendable {
    public let pid: pid_t
    private let logFile: URL
    private let hasOwnGroup: Bool
    private let status = Guarded<Int32?>(nil)

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: A name in the PATH, or a path.
    ///   - environment: The whole environment; nil for the environment of the test process.
    ///   - directory: The child's working directory, which also receives its log.
    ///   - hasOwnGroup: True for a program with children of its own, such as nginx with its workers:
    ///     they share a process group, and are killed with it.
    public init(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, directory: URL,
        hasOwnGroup: Bool = false
    ) throws {
        let executable = try Self.find(program)
        logFile = directory.appending(path: "\(executable.lastPathComponent).\(UUID().uuidString.prefix(8)).log")
        self.hasOwnGroup = hasOwnGroup
        pid = try Self.spawn(
            executable, arguments, environment: environment, directory: directory, log: logFile, hasOwnGroup: hasOwnGroup)
        LeftOvers.add(process: pid, isGroup: hasOwnGroup)
    }

    /// Releasing the last reference ends the program: the test does not need it any more.
    deinit {
        if hasOwnGroup { kill(-pid, SIGKILL) }
        signal(SIGKILL)
        reap(wait: true)
    }

    /// Runs a program to its end and returns its output.
    public static func output(_ program: String, _ arguments: [String]) throws -> String {
        let child = try ChildProcess(program, arguments, directory: FileManager.default.temporaryDirectory)
        child.reap(wait: true)
        defer { try? FileManager.default.removeItem(at: child.logFile) }
        return child.log
    }

    public var isRunning: Bool { reap(wait: false) == nil }
    public var log: String { (try? String(contentsOf: logFile, encoding: .utf8)) ?? "" }

    public func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    /// Waits for the process to end.
    ///
    /// - Returns: The exit code, or the negated number of the signal that ended the process.
    @discardableResult
    public func ended(timeout: Duration = .seconds(40)) async throws -> Int32 {
        try await eventually("process \(pid) ends; its log: \(log.suffix(1000))", timeout: timeout) { !isRunning }
        let status = reap(wait: true) ?? 0
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
    }

    @discardableResult
    private func reap(wait: Bool) -> Int32? {
        status.withLock { status in
            if let status { return status }
            var raw: Int32 = 0
            guard waitpid(pid, &raw, wait ? 0 : WNOHANG) == pid else { return nil }
            status = raw
            LeftOvers.remove(process: pid)
            return raw
        }
    }

    /// Waits until the log matches `pattern`, and returns the first group of the match.
    public func line<Output>(_ pattern: Regex<(Substring, Output)>, timeout: Duration = .seconds(20)) async throws -> Output {
        var found: Output?
        try await eventually("process \(pid) logs the expected line; its log: \(log.suffix(2000))", timeout: timeout) {
            found = log.firstMatch(of: pattern)?.output.1
            if found == nil, !isRunning { throw NeverHappened(description: "process \(pid) ended early: \(log.suffix(2000))") }
            return found != nil
        }
        guard let found else { throw NeverHappened(description: "process \(pid) never logged the expected line") }
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

    private static func spawn(
        _ executable: URL, _ arguments: [String], environment: [String: String]?, directory: URL, log: URL,
        hasOwnGroup: Bool
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log.path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The child must not inherit sockets: a socket that the test closes would stay open for its
        // peer.
        _ = closeFrom?(&actions, 3)
        // The child must not inherit the test's signal mask and handlers.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let group = hasOwnGroup ? POSIX_SPAWN_SETPGROUP : 0
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group))
        // `env` changes the directory and then replaces itself with the program.
        let words = (["env", "-C", directory.path, executable.path] + arguments).map { strdup($0) } + [nil]
        let variables = (environment ?? ProcessInfo.processInfo.environment).map { strdup("\($0)=\($1)") } + [nil]
        defer { for word in words + variables { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, "/usr/bin/env", &actions, &attributes, words, variables)
        guard code == 0 else { throw NeverHappened(description: "\(executable.path) cannot be started: error \(code)") }
        return pid
    }

    /// glibc's `posix_spawn_file_actions_addclosefrom_np` (2.34), which the Glibc module does not
    /// export.
    private static let closeFrom: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32)? = {
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return nil }
        return unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
    }()
}
