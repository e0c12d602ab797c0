import Logging
import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Leaves connections in the system's queue for a moment when the process has hardly a descriptor
/// left for them.
///
/// The process reserves its last descriptors (``DescriptorLimit/lastForClients(of:)``). If even
/// these are taken, SwiftNIO tries the next accept at once, and again: a core would be busy with
/// nothing else for as long as the table is full. This handler stands in the pipeline of the
/// listening socket.
final class AcceptPause: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(200)
    /// The shortest time between two warnings.
    private static let quiet = TimeAmount.seconds(60)

    private let logger: Logger
    private let lastDescriptor: Int
    private var isPaused = false
    private var lastWarning: NIODeadline?

    private init(lastDescriptor: Int, logger: Logger) {
        self.lastDescriptor = lastDescriptor
        self.logger = logger
    }

    static func add(to channel: any Channel, logger: Logger) async throws {
        let limit = DescriptorLimit.raise() ?? .max
        try await channel.eventLoop.submit {
            let handler = AcceptPause(lastDescriptor: DescriptorLimit.lastForClients(of: limit), logger: logger)
            try channel.pipeline.syncOperations.addHandler(handler, position: .first)
        }.get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(data)
        if DescriptorLimit.isTaken(upTo: lastDescriptor) { pause(context, "\(lastDescriptor) descriptors are in use") }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) {
            return pause(context, "\(error)")
        }
        context.fireErrorCaught(error)
    }

    private func pause(_ context: ChannelHandlerContext, _ reason: String) {
        guard !isPaused else { return }
        isPaused = true
        let now = NIODeadline.now()
        if lastWarning.map({ now - $0 >= Self.quiet }) ?? true {
            lastWarning = now
            logger.warning(
                "no connection can be accepted: the process has no descriptor left, or the system has no memory left",
                metadata: ["error": "\(reason)", "code": "too_many_connections"])
        }
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        resumeLater(context)
    }

    private func resumeLater(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            guard context.channel.isActive else { return }
            guard !DescriptorLimit.isTaken(upTo: self.lastDescriptor) else { return self.resumeLater(context) }
            self.isPaused = false
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
