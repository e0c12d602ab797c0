#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A lock on a file (flock(2)). It is held until the object is released or the process ends, in
/// whatever way. Children do not inherit it.
final class DirectoryLock: Sendable {
    enum Failure: Error, Equatable {
        /// Another process holds the lock.
        case held
        /// The file cannot be created or locked, with the system's message.
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

/// Returns the system's message for the call that has just failed.
func systemError() -> String { String(cString: strerror(errno)) }
