import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A process that is not a child of this one. Numbers are given out again, so that it is known by
/// when it began, too.
struct ProcessIdentity: Sendable, Equatable {
    let pid: pid_t
    /// Nil where there is no /proc.
    private let begun: Substring?

    /// Nil when there is no such process.
    init?(_ pid: pid_t) {
        guard pid > 0, kill(pid, 0) == 0 || errno == EPERM else { return nil }
        self.pid = pid
        begun = Self.begun(pid)
    }

    /// A process that has ended counts as gone, also before its parent has asked for its status.
    var isRunning: Bool { (kill(pid, 0) == 0 || errno == EPERM) && begun == Self.begun(pid) }

    private static func begun(_ pid: pid_t) -> Substring? {
        // The name stands in parentheses and may hold some itself; behind it come the state, and 19
        // fields on the start (proc_pid_stat(5)).
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else {
            return nil
        }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return fields[19]
    }
}
