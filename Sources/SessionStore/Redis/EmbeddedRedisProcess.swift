import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The private `redis-server`: a child, or one that an earlier run left behind.
final class EmbeddedRedisProcess: Sendable {
    /// Nil for one that was taken over.
    private let child: Mutex<Process?>
    private let identity: ProcessIdentity?
    let identifier: pid_t
    let begun = ContinuousClock.now

    /// Starts `redis-server` under `flock`, which lets it go only while no other one holds the
    /// lock, and becomes it.
    init(lock: String, directory: String, arguments: [String]) throws {
        guard let server = Self.find("redis-server") else {
            throw EmbeddedRedisError(
                "redis-server is not installed: apt-get install redis-server, or set AGENT_RUNTIME__REDIS_URL to a Redis of your own")
        }
        let child = Process()
        if let flock = Self.find("flock") {
            child.executableURL = URL(filePath: flock)
            child.arguments = ["--nonblock", "--no-fork", lock, server] + arguments
        } else {
            child.executableURL = URL(filePath: server)
            child.arguments = arguments
        }
        child.currentDirectoryURL = URL(filePath: directory)
        child.standardInput = FileHandle.nullDevice
        child.standardOutput = FileHandle.nullDevice
        child.standardError = FileHandle.nullDevice
        do { try Self.withChildsSettings { try child.run() } } catch {
            throw EmbeddedRedisError("redis-server cannot be started: \(error.localizedDescription)")
        }
        identifier = child.processIdentifier
        identity = nil
        self.child = Mutex(child)
    }

    /// One that runs already.
    init(takingOver identity: ProcessIdentity) {
        identifier = identity.pid
        self.identity = identity
        child = Mutex(nil)
    }

    var isRunning: Bool { child.withLock { $0?.isRunning } ?? identity?.isRunning ?? false }

    func signal(_ number: Int32) {
        if isRunning { kill(identifier, number) }
    }

    /// Waits for the end, and then makes sure of it.
    func end(logger: Logger) async {
        for number in [SIGTERM, SIGKILL] {
            for _ in 0..<1000 where isRunning { await Self.pause() }
            guard isRunning else { return }
            logger.warning("the private redis-server does not stop", metadata: ["signal": "\(number)"])
            signal(number)
        }
        for _ in 0..<1000 where isRunning { await Self.pause() }
    }

    /// Not cancellable.
    private static func pause() async {
        await withCheckedContinuation { continuation in
            MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: .milliseconds(5)) { continuation.resume() }
        }
    }

    /// A child inherits the signals that its parent's thread blocks, and the runtime's threads
    /// block most. Its files are this user's alone.
    private static func withChildsSettings(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        let mask = umask(0o077)
        defer {
            umask(mask)
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        try body()
    }

    private static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
