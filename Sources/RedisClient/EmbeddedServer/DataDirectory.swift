import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The directory of a private `redis-server`. It holds every conversation, so it must belong to
/// this user alone.
struct DataDirectory: Sendable {
    /// Absolute.
    let path: String

    /// - Parameter path: Relative to the working directory.
    init(_ path: String) {
        self.path = URL(filePath: path).standardizedFileURL.path(percentEncoded: false)
    }

    func file(_ name: String) -> String { path.hasSuffix("/") ? path + name : "\(path)/\(name)" }

    /// Creates the directory if it is missing.
    ///
    /// - Parameter user: The user who must own it; the process's own by default.
    /// - Throws: ``EmbeddedRedisError`` if other users can read the directory, or if another user
    ///   owns it.
    func prepare(user: uid_t = geteuid()) throws(EmbeddedRedisError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw EmbeddedRedisError("the directory \(path) cannot be made: \(error.localizedDescription)")
        }
        var found = stat()
        guard stat(path, &found) == 0 else { throw EmbeddedRedisError("the directory \(path) cannot be read: \(systemError())") }
        guard found.st_uid == user else {
            throw EmbeddedRedisError(
                "the directory \(path) belongs to another user (\(found.st_uid)), who could read every session; "
                    + "choose another one, or start the server as that user")
        }
        let mode = found.st_mode & 0o777
        guard mode & 0o077 == 0 else {
            throw EmbeddedRedisError(
                "other users may open the directory \(path) (its mode is \(String(mode, radix: 8))), and read every session; "
                    + "run: chmod 700 '\(path)'")
        }
    }

    /// Checks that the append-only file is complete. Redis starts with an empty data set if the
    /// file's manifest is missing, even if all other parts exist.
    func checkFiles() throws(EmbeddedRedisError) {
        let folder = file("appendonlydir")
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let parts = files.filter { $0.hasPrefix("appendonly.aof.") }
        guard !parts.isEmpty, !parts.contains("appendonly.aof.manifest") else { return }
        throw EmbeddedRedisError(
            "\(folder) has parts of an append-only file, but no appendonly.aof.manifest: Redis would begin without the sessions in "
                + "them. Restore the manifest, or move the folder away to begin an empty data set")
    }

    /// The path of Redis's log, and the log's last line.
    var lastWords: String {
        let log = file("redis.log")
        guard let handle = FileHandle(forReadingAtPath: log) else { return "see \(log)" }
        defer { try? handle.close() }
        let end = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: end > 4096 ? end - 4096 : 0)
        let text = String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
        guard let line = text.split(whereSeparator: \.isNewline).last else { return "see \(log)" }
        return "see \(log), whose last line is: \(line.prefix(400))"
    }
}
