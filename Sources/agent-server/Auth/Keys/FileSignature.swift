import Foundation

/// What changes when a file is written or replaced. Follows symbolic links: Kubernetes replaces a
/// mounted secret by another target of the link.
struct FileSignature: Equatable, Sendable {
    private let device: Int
    private let inode: Int
    private let size: Int
    private let modified: Date
    private let mode: Int

    /// Nil for a file that cannot be found.
    init?(of path: String) {
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: target) else { return nil }
        func number(_ key: FileAttributeKey) -> Int { (attributes[key] as? NSNumber)?.intValue ?? 0 }
        device = number(.systemNumber)
        inode = number(.systemFileNumber)
        size = number(.size)
        modified = attributes[.modificationDate] as? Date ?? .distantPast
        mode = number(.posixPermissions)
    }

    /// Whether users other than the file's owner may read it.
    var isReadableByOthers: Bool { mode & 0o044 != 0 }

    /// The mode as `chmod` writes it.
    var octalMode: String { String(mode & 0o777, radix: 8) }

    /// Whether the file was written so recently that another write of the same size may leave the
    /// signature as it is: clocks of files move in steps.
    func isRecent(at now: Date) -> Bool { modified > now.addingTimeInterval(-2) }
}
