import Foundation

/// The clock of a `redis-server` that a test sets while it runs (libfaketime). Timers go by the monotonic clock, which stays as it is.
public struct FakeClock: Sendable {
    private let file: URL
    /// What the server needs in its environment.
    let environment: [String: String]

    public init() throws {
        file = try temporaryDirectory().appending(path: "clock")
        environment = [
            // The C library's memory, too: jemalloc, which Redis is linked to, asks for the time while libfaketime starts, and so for ever.
            "LD_PRELOAD": try Self.library() + " libc.so.6", "FAKETIME_TIMESTAMP_FILE": file.path, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        ]
        try set(ahead: 0)
    }

    /// - Parameter seconds: How far the clock is ahead of the system's from now on; negative for behind.
    public func set(ahead seconds: Int) throws {
        try "\(seconds < 0 ? "" : "+")\(seconds)\n".write(to: file, atomically: true, encoding: .utf8)
    }

    /// Where Debian's package `faketime` has it.
    private static func library() throws -> String {
        let libraries = "/usr/lib"
        for directory in [""] + ((try? FileManager.default.contentsOfDirectory(atPath: libraries)) ?? []) {
            let path = "\(libraries)/\(directory)/faketime/libfaketimeMT.so.1"
            if FileManager.default.fileExists(atPath: path) { return path }
        }
        throw NeverHappened(description: "libfaketime is not installed; make test installs it")
    }
}
