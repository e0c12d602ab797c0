internal import CSpawn
import FoundationEssentials
import Glibc
import Locks

/// A program that this process started (`posix_spawn`, POSIX.1-2024).
///
/// The child inherits nothing: no descriptors, and no blocked or ignored signals, although the
/// runtime's threads block most signals. Its files are readable by this user alone.
/// `Foundation.Process` would keep a thread, and would change the parent's umask.
final class ChildProcess: Sendable {
    let identifier: pid_t
    private let hasEnded = Guarded(false)

    /// - Parameters:
    ///   - command: The program's path and its arguments.
    ///   - directory: The program's working directory.
    /// - Throws: ``EmbeddedRedisError`` with the system's message.
    init(_ command: [String], directory: String) throws(EmbeddedRedisError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor: Int32 in 0...2 {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY, 0)
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        posix_spawn_file_actions_addchdir_np(&actions, directory)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // A process group of its own. Ctrl-C in a terminal then signals this process alone, which
        // stops the child.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        // The child sets its umask, which belongs to a whole process, not to a thread.
        let words = ["sh", "-c", "umask 077; exec \"$@\"", "sh"] + command
        let arguments = words.map { strdup($0) } + [nil]
        let environment = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var child: pid_t = 0
        let error = posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environment)
        guard error == 0 else {
            throw EmbeddedRedisError("redis-server cannot be started: \(String(cString: strerror(error)))")
        }
        identifier = child
    }

    /// Whether the child is running. Reaps a child that has ended.
    var isRunning: Bool {
        hasEnded.withLock { hasEnded in
            if hasEnded { return false }
            var status: Int32 = 0
            // EINTR does not mean an end. Any other error means that the child does not exist.
            let result = waitpid(identifier, &status, WNOHANG)
            hasEnded = result == identifier || result < 0 && errno != EINTR
            return !hasEnded
        }
    }
}
