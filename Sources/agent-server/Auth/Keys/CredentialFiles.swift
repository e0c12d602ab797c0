import Locks
import Logging
import ServiceLifecycle

/// Reads files of credentials again when they change, and on SIGHUP. A file that cannot be used
/// changes nothing: the credentials that were read before stay in use.
final class CredentialFiles: Service {
    /// How often `stat(2)` compares the files with what was read.
    private static let period = Duration.seconds(1)

    private let files: [CredentialFile]
    private let logger: Logger
    private let audit: AuditLog?
    /// Whether all files are read at the next look, changed or not.
    private let isDue = Guarded(false)

    /// - Parameters:
    ///   - files: Files that were read once.
    ///   - audit: Gets a line for each reload, beside the logger.
    init(_ files: [CredentialFile], logger: Logger, audit: AuditLog? = nil) {
        self.files = files
        self.logger = logger
        self.audit = audit
        for file in files { warn(of: file) }
    }

    var isEmpty: Bool { files.isEmpty }

    /// Has all files read within a moment, changed or not.
    func reload() {
        isDue.withLock { $0 = true }
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            // One loop reads all files, so that an old content cannot replace a later one.
            var files = self.files
            while true {
                try await Task.sleep(for: Self.period)
                let isDue = self.isDue.withLock { isDue in
                    defer { isDue = false }
                    return isDue
                }
                for index in files.indices { files[index] = await self.read(files[index], onlyIfChanged: !isDue) }
            }
        }
    }

    private func read(_ file: CredentialFile, onlyIfChanged: Bool) async -> CredentialFile {
        var file = file
        do throws(CredentialFileError) {
            if let count = try await file.read(onlyIfChanged: onlyIfChanged) {
                logger.notice(
                    "credentials were read again", metadata: ["of": "\(file.contents)", "file": "\(file.path)", "count": "\(count)"])
                audit?.note(.keysReloaded, ["of": "\(file.contents)", "count": "\(count)"])
                warn(of: file)
            }
        } catch {
            logger.error(
                "credentials cannot be read again; those read before stay in use",
                metadata: ["of": "\(file.contents)", "file": "\(file.path)", "error": "\(error)"])
            audit?.note(.keysReloaded, isRefused: true, ["of": "\(file.contents)", "error": "\(error)"])
        }
        return file
    }

    private func warn(of file: CredentialFile) {
        guard let mode = file.wideMode else { return }
        logger.warning(
            "users other than its owner may read a file of credentials",
            metadata: ["of": "\(file.contents)", "file": "\(file.path)", "mode": "\(mode)"])
    }
}
