public import Foundation
import Locks

#if canImport(Glibc)
import Glibc
#endif

/// Child processes and temporary folders that still exist. The process kills and removes them when
/// it exits.
enum LeftOvers {
    /// Whether each process has a group of its own.
    private static let processes = Guarded<[pid_t: Bool]>([:])
    private static let directories = Guarded<[URL]>([])
    private static let registration: Void = {
        atexit { LeftOvers.cleanUp() }
    }()

    static func add(process: pid_t, isGroup: Bool) {
        _ = registration
        processes.withLock { $0[process] = isGroup }
    }

    static func remove(process: pid_t) {
        processes.withLock { _ = $0.removeValue(forKey: process) }
    }

    static func add(directory: URL) {
        _ = registration
        directories.withLock { $0.append(directory) }
    }

    private static func cleanUp() {
        let children = processes.withLock { $0 }
        for (child, isGroup) in children { kill(isGroup ? -child : child, SIGKILL) }
        // A child that still runs would write into a folder while it is being removed.
        for child in children.keys { waitpid(child, nil, 0) }
        for directory in directories.withLock({ $0 }) { try? FileManager.default.removeItem(at: directory) }
    }
}

/// Makes a folder for one test under the system's temporary folder.
///
/// - Parameter isRemovedAtExit: False for a folder that its maker removes, or leaves to a person.
public func temporaryDirectory(isRemovedAtExit: Bool = true) throws -> URL {
    // Short, since the path of a unix socket has at most 107 bytes.
    let url = FileManager.default.temporaryDirectory.appending(path: "art-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    if isRemovedAtExit { LeftOvers.add(directory: url) }
    return url
}
