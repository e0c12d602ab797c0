import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How many files and sockets the process may have open.
enum DescriptorLimit {
    /// Raises the soft limit to the hard one. The soft one is low for programs that use
    /// `select(2)`, which knows 1,024 descriptors.
    ///
    /// - Returns: The limit now in force; nil if the system does not report it.
    @discardableResult
    static func raise() -> Int? {
        var limit = rlimit()
        #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
        let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0 else { return nil }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Returns the descriptor from which on the table counts as full. A fifth of the table, 1,024
    /// at most, stays reserved for the model, for Redis and for the runtime.
    ///
    /// The runtime needs some of them: libdispatch, which runs Swift's tasks on Linux, opens
    /// `/proc/self/task/…/stat` now and then, and ends the process if it cannot (SIGILL in
    /// `_dispatch_workq_monitor_pools`).
    ///
    /// - Parameter limit: The limit of `RLIMIT_NOFILE`, ≥ 0.
    static func lastForClients(of limit: Int) -> Int { limit - min(limit / 5, 1024) }

    /// Returns whether the lowest free descriptor is at `bound` or above, or no descriptor is free.
    static func isTaken(upTo bound: Int) -> Bool {
        let free = dup(STDOUT_FILENO)
        if free < 0 { return errno == EMFILE }
        close(free)
        return Int(free) >= bound
    }
}
