import JSONText
import NIOCore

/// Why a file of credentials cannot be used, in words that name the entry and the member. Shows no
/// value of the file: a key that was pasted into the wrong place stays out of logs.
struct CredentialFileError: Error, Sendable, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }

    /// The file is not JSON.
    init(_ error: JSONError, in bytes: ByteBuffer) {
        let before = bytes.readableBytesView.prefix(error.offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let column =
            before.count - (before.lastIndex(of: UInt8(ascii: "\n")).map { before.distance(from: before.startIndex, to: $0) + 1 } ?? 0)
        description = "line \(line), column \(column + 1): \(error.message)"
    }
}
