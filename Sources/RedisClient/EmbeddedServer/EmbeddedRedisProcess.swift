import FoundationEssentials
import Glibc
import Logging
import NIOCore
import NIOPosix

/// The process of the private `redis-server`: a child, or a process that an earlier run left
/// behind.
final class EmbeddedRedisProcess: Sendable {
    /// Nil for a process that was taken over.
    private let child: ChildProcess?
    private let identity: ProcessIdentity?
    let identifier: pid_t
    let begun = ContinuousClock.now

    /// Starts `redis-server` under `flock`, which replaces itself with the server once it holds the
    /// lock, and exits if another process holds it.
    init(lock: String, directory: String, arguments: [String]) throws {
        guard let server = Self.find("redis-server") else {
            throw EmbeddedRedisError(
                "redis-server is not installed: apt-get install redis-server, or set AGENT_RUNTIME__REDIS_URL to a Redis of your own")
        }
        var command = [server] + arguments
        if let flock = Self.find("flock") { command = [flock, "--nonblock", "--no-fork", lock] + command }
        let child = try ChildProcess(command, directory: directory)
        identifier = child.identifier
        identity = nil
        self.child = child
    }

    /// Takes a process over that is already running.
    init(takingOver identity: ProcessIdentity) {
        identifier = identity.pid
        self.identity = identity
        child = nil
    }

    var isRunning: Bool { child?.isRunning ?? identity?.isRunning ?? false }

    func signal(_ number: Int32) {
        if isRunning { kill(identifier, number) }
    }

    /// Waits for the process to end, and kills it if it does not.
    func end(logger: Logger) async {
        for number in [SIGTERM, SIGKILL] {
            for _ in 0..<1000 where isRunning { await Self.pause() }
            guard isRunning else { return }
            logger.warning("the private redis-server does not stop", metadata: ["signal": "\(number)"])
            signal(number)
        }
        for _ in 0..<1000 where isRunning { await Self.pause() }
    }

    /// Sleeps without being cancellable.
    private static func pause() async {
        await withCheckedContinuation { continuation in
            MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: .milliseconds(5)) { continuation.resume() }
        }
    }

    private static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
