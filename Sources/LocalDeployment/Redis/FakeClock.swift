import Foundation

/// A clock of a `redis-server` that a test can set while the server runs (libfaketime). Timers use
/// the monotonic clock, which the test cannot set.
public struct FakeClock: Sendable {
    private let file: URL
    /// The variables that the server needs in its environment.
    let environment: [String: String]

    public init() throws {
        file = try temporaryDirectory().appending(path: "clock")
        environment = [
            // libc is preloaded because Redis is linked to jemalloc, which asks for the time while
            // libfaketime starts, and then never returns. With libc first, memory comes from libc.
            "LD_PRELOAD": try Self.library() + " libc.so.6", "FAKETIME_TIMESTAMP_FILE": file.path, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        ]
        try set(ahead: 0)
    }

    /// Sets the clock.
    ///
    /// - Parameter seconds: How far the clock is ahead of the system's from now on; negative for
    ///   behind.
    public func set(ahead seconds: Int) throws {
        try "\(seconds < 0 ? "" : "+")\(seconds)\n".write(to: file, atomically: true, encoding: .utf8)
    }

    /// Finds the library where Debian's package `faketime` installs it.
    private static func library() throws -> String {
        let libraries = "/usr/lib"
        for directory in [""] + ((try? FileManager.default.contentsOfDirectory(atPath: libraries)) ?? []) {
            let path = "\(libraries)/\(directory)/faketime/libfaketimeMT.so.1"
            if FileManager.default.fileExists(atPath: path) { return path }
        }
        throw NeverHappened(description: "libfaketime is not installed; make test installs it")
    }
}
