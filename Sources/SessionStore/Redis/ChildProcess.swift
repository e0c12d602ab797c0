internal import CSpawn
import FoundationEssentials
import Glibc
import Synchronization

/// A program that this process has started (`posix_spawn`, POSIX.1-2024).
///
/// It inherits nothing: no descriptors, no blocked or ignored signals (the runtime's threads block most), and its files are
/// this user's alone. `Foundation.Process` would keep a thread, and changes the parent's mask for that.
final class ChildProcess: Sendable {
    let identifier: pid_t
    private let hasEnded = Mutex(false)

    /// - Parameters:
    ///   - command: The program's path and its arguments.
    ///   - directory: Where it runs.
    /// - Throws: ``EmbeddedRedisError`` with the system's words.
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
        // A process group of its own: Ctrl-C in a terminal reaches this process first, which then stops the child.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        // The mask for new files is set by the child itself: it belongs to a whole process, not to a thread.
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

    /// Whether it runs. A child that has ended is reaped here.
    var isRunning: Bool {
        hasEnded.withLock { hasEnded in
            if hasEnded { return false }
            var status: Int32 = 0
            // EINTR is no end; any other error says that there is no such child.
            let result = waitpid(identifier, &status, WNOHANG)
            hasEnded = result == identifier || result < 0 && errno != EINTR
            return !hasEnded
        }
    }
}
