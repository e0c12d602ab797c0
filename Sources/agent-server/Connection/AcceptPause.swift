import Logging
import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Leaves connections in the system's queue for a moment when the process has no descriptor left
/// for them.
///
/// SwiftNIO tries the next accept at once then, and again: a core would be busy with nothing else
/// for as long as the table is full. It stands in the pipeline of the listening socket.
final class AcceptPause: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(200)
    /// One warning for each time that the table is full, and not more than one in this time.
    private static let quiet = TimeAmount.seconds(60)

    private let logger: Logger
    private var isPaused = false
    private var lastWarning: NIODeadline?

    private init(logger: Logger) {
        self.logger = logger
    }

    static func add(to channel: any Channel, logger: Logger) async throws {
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(AcceptPause(logger: logger), position: .first)
        }.get()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) {
            pause(context, error)
        }
        context.fireErrorCaught(error)
    }

    private func pause(_ context: ChannelHandlerContext, _ error: IOError) {
        guard !isPaused else { return }
        isPaused = true
        let now = NIODeadline.now()
        if lastWarning.map({ now - $0 >= Self.quiet }) ?? true {
            lastWarning = now
            logger.warning(
                "no connection can be accepted: the process has no descriptor left, or the system no memory",
                metadata: ["error": "\(error)", "code": "too_many_connections"])
        }
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            self.isPaused = false
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
