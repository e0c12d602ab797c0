import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What changes when a file is written or replaced. Follows symbolic links: Kubernetes replaces a
/// mounted secret by another target of the link.
struct FileSignature: Equatable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    private let seconds: Int
    private let nanoseconds: Int
    private let mode: UInt32

    /// Nil for a file that cannot be found.
    init?(of path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(truncatingIfNeeded: status.st_dev)
        inode = UInt64(truncatingIfNeeded: status.st_ino)
        size = Int64(status.st_size)
        #if canImport(Darwin)
        let modified = status.st_mtimespec
        #else
        let modified = status.st_mtim
        #endif
        (seconds, nanoseconds) = (Int(modified.tv_sec), Int(modified.tv_nsec))
        mode = UInt32(status.st_mode)
    }

    /// Whether users other than the file's owner may read it.
    var isReadableByOthers: Bool { mode & 0o044 != 0 }

    /// The mode as `chmod` writes it.
    var octalMode: String { String(mode & 0o777, radix: 8) }

    /// Whether the file was written so recently that another write of the same size may leave the
    /// signature as it is: clocks of files move in steps.
    func isRecent(at now: Date) -> Bool { Double(seconds) > now.timeIntervalSince1970 - 2 }
}
