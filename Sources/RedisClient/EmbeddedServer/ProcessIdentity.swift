import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The identity of a process that is not a child of this one. The system reuses numbers, so the
/// start time belongs to the identity.
struct ProcessIdentity: Sendable, Equatable {
    let pid: pid_t
    /// When the process started; nil on a system without /proc.
    private let begun: Substring?

    /// Nil if there is no such process.
    init?(_ pid: pid_t) {
        guard pid > 0, kill(pid, 0) == 0 || errno == EPERM else { return nil }
        self.pid = pid
        begun = Self.begun(pid)
    }

    /// Whether the process is running. A process that has ended counts as gone even if its parent
    /// has not reaped it.
    var isRunning: Bool { (kill(pid, 0) == 0 || errno == EPERM) && begun == Self.begun(pid) }

    private static func begun(_ pid: pid_t) -> Substring? {
        // The name stands in parentheses and may contain some. Behind it come the state, and 19
        // fields later the start time (proc_pid_stat(5)).
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else {
            return nil
        }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return fields[19]
    }
}
