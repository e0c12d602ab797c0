#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A lock on a file (flock(2)) that is held until it is let go of, or the process ends, however it ends. Children do not inherit it.
final class DirectoryLock: Sendable {
    enum Failure: Error, Equatable {
        /// By another process.
        case held
        /// The file cannot be made, or cannot be locked; in the system's words.
        case unusable(String)
    }

    private let descriptor: Int32

    init(path: String) throws(Failure) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unusable(systemError()) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno == EWOULDBLOCK ? Failure.held : .unusable(systemError())
            close(descriptor)
            throw failure
        }
    }

    deinit {
        close(descriptor)
    }

    static func isHeld(_ path: String) -> Bool {
        do {
            _ = try DirectoryLock(path: path)
            return false
        } catch {
            return error == .held
        }
    }
}

/// What the system says of the call that has just failed.
func systemError() -> String { String(cString: strerror(errno)) }
