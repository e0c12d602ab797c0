import AgentService
import CMalloc
import ServiceLifecycle

/// Returns memory to the system that histories have left free in the heap.
///
/// glibc keeps free memory if anything behind it is in use, and small objects of streams come to
/// lie between the pages of histories. `malloc_trim` finds whole pages that are free anywhere. It
/// locks the heaps of the event loops one after the other, so the trimmer calls it only after much
/// was freed, while little is held, and every few seconds at most.
struct HeapTrimmer: Service {
    /// Bytes of histories that must have been freed since the last trim.
    static let worthwhile = 16 << 20
    static let period = Duration.seconds(3)
    /// Histories that come and go all the time use the same memory again. After this many periods
    /// the trimmer trims all the same.
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
