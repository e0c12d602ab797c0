import Foundation
import Locks
import Logging
import ServiceLifecycle

extension EmbeddedRedis {
    private static let checkInterval = Duration.milliseconds(500)

    /// Restarts the server whenever it ends, until the service group shuts down, and stops it then.
    /// This includes a server that was taken over.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown { try await self.keepRunning() }
        await stop()
    }

    private func keepRunning() async throws {
        var pause = RestartPause()
        while true {
            try await Task.sleep(for: Self.checkInterval)
            let known = process.withLock { $0 }
            if let known {
                guard !known.isRunning else { continue }
            } else {
                // The server did not report its process when it was taken over.
                guard await ping() == .absent else {
                    await takeOver()
                    continue
                }
            }
            let wait = pause.after(lifetime: known?.begun.duration(to: .now) ?? .zero)
            logger.error(
                "the private redis-server has ended; starting it again",
                metadata: ["in_ms": "\(wait.milliseconds)", "log": "\(directory.lastWords)"])
            try await Task.sleep(for: wait)
            do {
                try launch()
            } catch {
                logger.error("\(error)")
                // A server that failed to start lived for no time, so the next pause is longer.
                process.withLock { $0 = nil }
            }
        }
    }

    /// Makes Redis write its file and exit, and waits for its end, at most twenty seconds.
    ///
    /// A caller that was cancelled needs the server stopped as well, so a task of its own does the
    /// work.
    public func stop() async {
        await Task {
            if let process = self.process.withLock({ $0 }), process.isRunning {
                switch await self.sendShutdown(to: process) {
                case .sent: break
                case .noneAnswers: process.signal(SIGTERM)
                // With any other signal the server would remove the socket, which now belongs to
                // another server. Acknowledged writes are on disk.
                case .anotherAnswers: process.signal(SIGKILL)
                }
                await process.end(logger: self.logger)
            }
            self.process.withLock { $0 = nil }
            self.ownership.withLock { $0 = nil }
        }.value
    }

    /// Makes Redis write its file and exit without waiting for it, for a process that exits
    /// immediately.
    package func stopWithoutWaiting() {
        process.withLock { $0 }?.signal(SIGTERM)
    }
}
