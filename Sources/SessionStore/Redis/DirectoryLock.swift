#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A lock on a file (flock(2)) that is held until it is let go of, or the process ends, however it ends. Children do not inherit it.
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Nil when another process holds it, or the file cannot be made.
    init?(path: String) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
    }

    deinit {
        close(descriptor)
    }

    static func isHeld(_ path: String) -> Bool {
        DirectoryLock(path: path) == nil
    }
}
