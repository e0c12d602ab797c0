package import Foundation
import NIOCore
package import RedisClient

/// What an earlier build left in Redis: the files of `Tests/Fixtures/upgrade`.
package enum RecordedRedis {
    package static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Fixtures/upgrade").standardized

    /// Writes the keys of a file, each with what `DUMP` returned for it.
    package static func restore(_ file: String, over connection: RedisConnection) async throws {
        let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let value = Data(base64Encoded: String(words[1])) else {
                throw Unexpected(description: "not a line of a dump: \(line.prefix(80))")
            }
            var command = RedisCommand("RESTORE", String(words[0]), "0")
            command.append(ByteBuffer(bytes: value))
            _ = try await connection.send(command)
        }
    }
}
