import Foundation
import Locks
import NIOCore
import TestSupport
import Testing

@testable import agent_server

@Suite("Files of credentials that change")
struct CredentialFileTests {
    /// Remembers the contents that were taken into use. Refuses one with the word `bad`.
    private final class Contents: Sendable {
        private let taken = Guarded<[String]>([])

        var all: [String] { taken.withLock { $0 } }

        func file(_ path: URL, maximumBytes: Int = 1000) -> CredentialFile {
            CredentialFile(of: "keys", path: path.path, maximumBytes: maximumBytes) { bytes throws(CredentialFileError) in
                let text = String(buffer: bytes)
                guard text != "bad" else { throw CredentialFileError("bad") }
                self.taken.withLock { $0.append(text) }
                return text.count
            }
        }
    }

    private func path() throws -> URL { try temporaryDirectory().appending(path: "keys.json") }
    /// Later than all writes of a test: signatures have settled.
    private let later = Date(timeIntervalSinceNow: 60)

    @Test("A file is read again when it changes, and not otherwise")
    func changes() async throws {
        let (contents, path) = (Contents(), try path())
        _ = try KeyFiles.write("one", to: path)
        var file = contents.file(path)
        #expect(try await file.read(now: later) == 3)
        #expect(try await file.read(onlyIfChanged: true, now: later) == nil)
        try KeyFiles.replace(path, with: "three")
        #expect(try await file.read(onlyIfChanged: true, now: later) == 5)
        _ = try KeyFiles.write("longer than before", to: path)
        #expect(try await file.read(onlyIfChanged: true, now: later) == 18)
        // The same content in another file.
        try KeyFiles.replace(path, with: "longer than before")
        #expect(try await file.read(onlyIfChanged: true, now: later) == nil)
        // On SIGHUP it is read in any case.
        #expect(try await file.read(now: later) == 18)
        #expect(contents.all == ["one", "three", "longer than before", "longer than before"])
    }

    /// The clock of a file system moves in steps: two writes may leave the same time.
    @Test("A second write of the same size within the same moment is found")
    func writesOfOneMoment() async throws {
        let (contents, path) = (Contents(), try path())
        _ = try KeyFiles.write("one", to: path)
        var file = contents.file(path)
        _ = try await file.read()
        let modified = try FileManager.default.attributesOfItem(atPath: path.path)[.modificationDate]
        _ = try KeyFiles.write("two", to: path)
        try FileManager.default.setAttributes([.modificationDate: try #require(modified as? Date)], ofItemAtPath: path.path)
        #expect(try await file.read(onlyIfChanged: true) == 3)
        #expect(contents.all == ["one", "two"])
    }

    @Test("The target of a symbolic link is replaced, as Kubernetes does")
    func links() async throws {
        let (contents, directory) = (Contents(), try temporaryDirectory())
        for name in ["v1", "v2"] { _ = try KeyFiles.write(name, to: directory.appending(path: name)) }
        let link = directory.appending(path: "keys.json")
        try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: "v1")
        var file = contents.file(link)
        _ = try await file.read(now: later)
        let next = directory.appending(path: "next")
        try FileManager.default.createSymbolicLink(atPath: next.path, withDestinationPath: "v2")
        #expect(rename(next.path, link.path) == 0)
        #expect(try await file.read(onlyIfChanged: true, now: later) == 2)
        #expect(contents.all == ["v1", "v2"])
    }

    @Test("A file that cannot be used is an error once, and is read again when it is better")
    func errors() async throws {
        let (contents, path) = (Contents(), try path())
        _ = try KeyFiles.write("good", to: path)
        var file = contents.file(path, maximumBytes: 10)
        _ = try await file.read(now: later)
        try KeyFiles.replace(path, with: "bad")
        await #expect(throws: CredentialFileError.self) { _ = try await file.read(onlyIfChanged: true, now: later) }
        #expect(try await file.read(onlyIfChanged: true, now: later) == nil)
        try KeyFiles.replace(path, with: "eleven char")
        await #expect(throws: CredentialFileError.self) { _ = try await file.read(onlyIfChanged: true, now: later) }
        try FileManager.default.removeItem(at: path)
        await #expect(throws: CredentialFileError.self) { _ = try await file.read(onlyIfChanged: true, now: later) }
        #expect(try await file.read(onlyIfChanged: true, now: later) == nil)
        _ = try KeyFiles.write("good", to: path)
        #expect(try await file.read(onlyIfChanged: true, now: later) == 4)
        #expect(contents.all == ["good", "good"])
    }

    @Test("A file that others may read is noticed")
    func modes() async throws {
        let (contents, path) = (Contents(), try path())
        _ = try KeyFiles.write("one", to: path)
        var file = contents.file(path)
        for (mode, wide) in [(0o600, nil), (0o640, "640"), (0o604, "604"), (0o400, nil), (0o622, nil)] as [(Int, String?)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path.path)
            _ = try await file.read()
            #expect(file.wideMode == wide)
        }
    }
}
