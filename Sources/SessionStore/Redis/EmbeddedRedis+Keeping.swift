import Foundation
import Logging
import ServiceLifecycle
import Synchronization

extension EmbeddedRedis {
    private static let checkInterval = Duration.milliseconds(500)

    /// Keeps Redis running until the service shuts down, and stops it then. A server that
    /// ends is started again, also one that was taken over.
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
                // It did not say which process it is when it was taken over.
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
                // So that the next pause is longer: what has ended has lived no longer since.
                process.withLock { $0 = nil }
            }
        }
    }

    /// Has Redis write its file and exit; waits for that, at most twenty seconds. A caller that
    /// cancels wants it stopped, too: a task that cannot be cancelled does the work.
    public func stop() async {
        await Task {
            if let process = self.process.withLock({ $0 }), process.isRunning {
                switch await self.sendShutdown(to: process) {
                case .sent: break
                case .noneAnswers: process.signal(SIGTERM)
                // With any other signal it would remove the socket, which is another's now. What it
                // has acknowledged is written.
                case .anotherAnswers: process.signal(SIGKILL)
                }
                await process.end(logger: self.logger)
            }
            self.process.withLock { $0 = nil }
            self.ownership.withLock { $0 = nil }
        }.value
    }

    /// For a process that ends at once: Redis writes its file and exits, and is not waited for.
    public func stopWithoutWaiting() {
        process.withLock { $0 }?.signal(SIGTERM)
    }
}
