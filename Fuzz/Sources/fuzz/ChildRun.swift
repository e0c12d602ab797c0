import Foundation

/// Tries one kind of input in a process of its own, and notices when that process crashes or hangs.
final class ChildRun {
    /// Longer than any single input takes, even on a busy machine.
    private static let patience = 30.0

    private let kind: Kind
    private let seed: UInt64
    private let process = Process()
    private let path: String
    private let progress: Progress

    init(kind: Kind, seed: UInt64, count: Int) throws {
        (self.kind, self.seed) = (kind, seed)
        path = NSTemporaryDirectory() + "fuzz-\(kind.rawValue)-\(getpid())"
        progress = try Progress(path: path)
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["child", kind.rawValue, "\(seed)", "0", "\(count)", path]
        // A backtrace takes seconds, and a replay prints one.
        var environment = ProcessInfo.processInfo.environment
        environment["SWIFT_BACKTRACE"] = "enable=no"
        process.environment = environment
        try process.run()
    }

    /// Waits for the process to end.
    ///
    /// - Returns: What went wrong, with the command that tries the same input again.
    func wait() -> String? {
        defer { unlink(path) }
        var (last, since) = (-1, Date())
        while process.isRunning {
            usleep(20_000)
            if progress.number != last { (last, since) = (progress.number, Date()) }
            if Date().timeIntervalSince(since) > Self.patience {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                return report("stood still")
            }
        }
        guard process.terminationReason == .uncaughtSignal || process.terminationStatus != 0 else { return nil }
        let how = process.terminationReason == .uncaughtSignal ? "signal" : "status"
        return report("ended with \(how) \(process.terminationStatus)")
    }

    private func report(_ what: String) -> String {
        let again = "fuzz replay \(kind.rawValue) \(seed) \(progress.number)"
        return "\(kind.rawValue): \(what) at mutation \(progress.number) of seed \(seed); again: \(again)"
    }
}

/// The number of the current input, in memory that outlives the process that writes it.
final class Progress {
    private let place: UnsafeMutablePointer<Int64>

    init(path: String) throws {
        let file = open(path, O_RDWR | O_CREAT, 0o600)
        defer { close(file) }
        guard file >= 0, ftruncate(file, 8) == 0,
            let memory = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), memory != MAP_FAILED
        else { throw Usage(description: "\(path) cannot be written") }
        place = memory.bindMemory(to: Int64.self, capacity: 1)
    }

    var number: Int { Int(place.pointee) }
    func note(_ number: Int) { place.pointee = Int64(number) }
}
