import Foundation
import NIOCore
import TestSupport

@testable import agent_server

/// Keys files of tests.
enum KeyFiles {
    /// Returns a key of the right form.
    static func key(_ id: String) -> String { "ark_\(id)_\(String(repeating: "k", count: 43 - id.utf8.count))\(id)" }

    /// Returns the entry of ``key(_:)``.
    ///
    /// - Parameter members: Replace members, or add some.
    static func entry(_ id: String, _ members: [String: JSON] = [:]) -> JSON {
        let entry: [String: JSON] = [
            "id": .string(id), "sha256": .string(KeyDigest(of: key(id)).hexadecimal), "subject": "*", "scopes": ["*"],
        ]
        return .object(entry.merging(members) { $1 }.filter { $0.value != .null })
    }

    static func text(_ entries: [JSON], tenants: JSON? = nil) -> String {
        var file: [String: JSON] = ["keys": .array(entries)]
        file["tenants"] = tenants
        return JSON.object(file).text
    }

    static func parse(_ text: String) throws(CredentialFileError) -> KeysFile {
        try KeysFile(parsing: ByteBuffer(string: text))
    }

    /// Writes a file that only its owner may read.
    static func write(_ text: String, to file: URL? = nil) throws -> URL {
        let file = try file ?? temporaryDirectory().appending(path: "keys.json")
        try Data(text.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
        return file
    }

    /// Replaces a file by renaming another one, as editors and deployment tools do.
    static func replace(_ file: URL, with text: String) throws {
        let next = file.deletingLastPathComponent().appending(path: "next-\(UUID().uuidString)")
        _ = try write(text, to: next)
        guard rename(next.path, file.path) == 0 else { throw NeverHappened(description: "\(file.path) is replaced") }
    }
}
