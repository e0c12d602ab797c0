import CMalloc

/// How glibc's heap treats memory that is free again.
///
/// By default an event loop's heap returns pages to the system as soon as 128 KiB are free at its
/// end, and takes each buffer beyond 128 KiB from the system. A busy loop does that once or twice
/// in every turn, and each page that it takes again costs a fault.
enum HeapSettings {
    /// Bytes that may stay free at a heap's end.
    private static let kept: Int32 = 8 << 20
    /// Larger buffers come from the system.
    private static let large: Int32 = 4 << 20

    /// Call this before the process has a second thread. Nothing depends on its success.
    static func apply() {
        #if canImport(Glibc)
        _ = mallopt(M_TRIM_THRESHOLD, kept)
        _ = mallopt(M_MMAP_THRESHOLD, large)
        #endif
    }
}
