import Dispatch
import Foundation
import Locks
import Logging
import NIOCore

/// Writes log lines on a thread of its own, so that a full pipe stops no event loop.
///
/// The queue is bounded. A line that does not fit is dropped and counted, and a later line reports
/// the count.
final class LogWriter: Sendable {
    private struct State {
        var records: [LogRecord] = []
        var dropped = DroppedLines()
        /// Whether the thread sleeps until it is woken.
        var isIdle = false
        /// Whether the thread ends after the lines that are queued.
        var isClosed = false
    }

    private struct Batch {
        var records: [LogRecord]
        var dropped: DroppedLines
        var isLast: Bool
    }

    /// How long the thread waits for more lines before it writes, so that a busy server wakes it
    /// less often.
    private static let pause = 0.002
    /// Bytes that go into one write.
    private static let pieceBytes = 64 << 10

    private let state = Guarded(State())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let format: LogFormat
    private let limit: Int
    private let descriptor: Int32

    /// - Parameter limit: Lines that may wait.
    init(format: LogFormat, limit: Int, descriptor: Int32 = 2) {
        self.format = format
        self.limit = limit
        self.descriptor = descriptor
        let thread = Thread { [self] in run() }
        thread.name = "log"
        thread.start()
    }

    func write(_ record: LogRecord) {
        let (wakes, isClosed) = state.withLock { state in
            guard !state.isClosed else { return (false, true) }
            guard state.records.count < limit else {
                state.dropped.add(record)
                return (false, false)
            }
            state.records.append(record)
            defer { state.isIdle = false }
            return (state.isIdle, false)
        }
        if wakes { wake.signal() }
        // The process is about to end, and the thread has ended.
        if isClosed { _ = writeLines([record]) }
    }

    /// Writes all lines that are queued, and ends the thread. Does not wait for a descriptor that
    /// accepts nothing.
    func finish(timeout: DispatchTimeInterval = .seconds(1)) {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        wake.signal()
        _ = ended.wait(timeout: .now() + timeout)
    }

    private func run() {
        while true {
            var batch = next()
            let before = batch.dropped
            if before.count > 0 { batch.records.append(before.report) }
            if !writeLines(batch.records) {
                // The report is not one of the lines.
                let lost = before.count > 0 ? batch.records.dropLast() : batch.records[...]
                state.withLock { $0.dropped.add(before, lost) }
            }
            if batch.isLast { break }
        }
        ended.signal()
    }

    /// Waits for lines.
    private func next() -> Batch {
        while true {
            let batch = state.withLock { state -> Batch? in
                guard !state.records.isEmpty || state.isClosed else {
                    state.isIdle = true
                    return nil
                }
                defer { (state.records, state.dropped) = ([], DroppedLines()) }
                return Batch(records: state.records, dropped: state.dropped, isLast: state.isClosed)
            }
            if let batch { return batch }
            wake.wait()
            if !state.withLock({ $0.isClosed }) { Thread.sleep(forTimeInterval: Self.pause) }
        }
    }

    /// - Returns: False if the descriptor accepts no more.
    private func writeLines(_ records: [LogRecord]) -> Bool {
        var output = StandardError(descriptor: descriptor)
        var lines = ByteBuffer()
        for record in records {
            format.write(record, into: &lines)
            guard lines.readableBytes >= Self.pieceBytes else { continue }
            guard output.write(lines) else { return false }
            lines.clear()
        }
        return lines.readableBytes == 0 || output.write(lines)
    }
}
