import Foundation
import NIOCore

/// A file of credentials, and which content of it was read last.
struct CredentialFile: Sendable {
    /// What the file holds, for logs.
    let contents: String
    let path: String
    private let maximumBytes: Int
    private let use: @Sendable (ByteBuffer) async throws(CredentialFileError) -> Int

    private var signature: FileSignature?
    private var digest: KeyDigest?
    /// Whether each later write changes the signature.
    private var isSettled = false

    /// - Parameters:
    ///   - contents: What the file holds, for logs: `keys`.
    ///   - path: The file.
    ///   - maximumBytes: A larger file is refused.
    ///   - use: Puts a new content into use, and returns how many keys it has. Throws, and changes
    ///     nothing, if the content cannot be used.
    init(
        of contents: String, path: String, maximumBytes: Int,
        use: @escaping @Sendable (ByteBuffer) async throws(CredentialFileError) -> Int
    ) {
        self.contents = contents
        self.path = path
        self.maximumBytes = maximumBytes
        self.use = use
    }

    /// Reads the file, and puts its content into use.
    ///
    /// - Parameter onlyIfChanged: Whether a content that was read before is left alone. An error is
    ///   then thrown once for each content.
    /// - Returns: The number of keys; nil if the content was left alone.
    mutating func read(onlyIfChanged: Bool = false, now: Date = Date()) async throws(CredentialFileError) -> Int? {
        // Before the content: the next call finds a write between the two.
        let found = FileSignature(of: path)
        if onlyIfChanged, found == signature, isSettled { return nil }
        let isNew = found != signature
        signature = found
        isSettled = found.map { !$0.isRecent(at: now) } ?? true
        let content: ByteBuffer
        do throws(CredentialFileError) { content = try Self.content(of: path, atMost: maximumBytes) } catch {
            digest = nil
            if onlyIfChanged, !isNew { return nil }
            throw error
        }
        let new = KeyDigest(of: content)
        if onlyIfChanged, new == digest { return nil }
        digest = new
        return try await use(content)
    }

    /// The file's mode, if it lets users other than its owner read the file.
    var wideMode: String? { signature.flatMap { $0.isReadableByOthers ? $0.octalMode : nil } }

    private static func content(of path: String, atMost limit: Int) throws(CredentialFileError) -> ByteBuffer {
        let content: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(filePath: path))
            defer { try? file.close() }
            content = try file.read(upToCount: limit + 1) ?? Data()
        } catch {
            throw CredentialFileError("the file cannot be read")
        }
        guard content.count <= limit else { throw CredentialFileError("the file has more than \(limit) bytes") }
        return ByteBuffer(bytes: content)
    }
}
