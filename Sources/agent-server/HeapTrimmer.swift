import AgentService
import CMalloc
import ServiceLifecycle

/// Gives the system back what histories have taken of the heap.
///
/// glibc keeps memory that is free again where anything behind it is still in use, and small things of streams come to lie between the pages of
/// histories. `malloc_trim` finds whole pages that are free anywhere. It locks one event loop's heap after the other meanwhile, so it is
/// called only when much was let go of, when little is held, and every few seconds at most.
struct HeapTrimmer: Service {
    /// Bytes of histories that must have been let go of since the last time.
    static let worthwhile = 16 << 20
    static let period = Duration.seconds(3)
    /// Histories that come and go all the time use the same memory again. It is given back all the same after so many periods.
    static let mostPatience = 10

    let histories: HistoryBudgets

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var (trimmed, seen, patience) = (0, 0, 0)
            while true {
                try await Task.sleep(for: Self.period)
                let released = histories.released
                let isCalm = released - seen < Self.worthwhile
                seen = released
                guard released - trimmed >= Self.worthwhile else { continue }
                patience += 1
                guard isCalm || patience >= Self.mostPatience else { continue }
                (trimmed, patience) = (released, 0)
                Self.trim()
            }
        }
    }

    static func trim() {
        #if canImport(Glibc)
        _ = malloc_trim(0)
        #endif
    }
}
