import NIOCore
import NIOHTTPTypes

/// Delays the close of a connection until its last response is written, as long as the client reads
/// some of it now and then.
///
/// A server that stops closes each connection at the end of its last response, and SwiftNIO drops
/// the bytes that the client has not read by then: most of a long history, and the `done` of a
/// stream.
final class DelayedCloseHandler: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// How long a client may read nothing.
    private let patience: TimeAmount
    /// Responses whose ends are not written.
    private var unwritten = 0
    /// The promise of a delayed close, and the timer that watches the client.
    private var waiting: EventLoopPromise<Void>?
    private var timer: Scheduled<Void>?

    init(patience: TimeAmount = .seconds(5)) {
        self.patience = patience
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        unwritten += 1
        let written = promise ?? context.eventLoop.makePromise()
        // The promise may belong to another event loop.
        written.futureResult.hop(to: context.eventLoop).assumeIsolated().whenComplete { _ in
            self.unwritten -= 1
            if self.unwritten == 0 { self.closeNow(context) }
        }
        context.write(data, promise: written)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all, unwritten > 0 else { return context.close(mode: mode, promise: promise) }
        if let waiting {
            waiting.futureResult.cascade(to: promise)
        } else {
            waiting = promise ?? context.eventLoop.makePromise()
            watch(context, bytes: bufferedBytes(context))
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        closeNow(context)
    }

    private func watch(_ context: ChannelHandlerContext, bytes: Int) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: patience) {
            let rest = self.bufferedBytes(context)
            if rest < bytes { self.watch(context, bytes: rest) } else { self.closeNow(context) }
        }
    }

    private func closeNow(_ context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        guard let waiting = waiting.take() else { return }
        context.close(promise: waiting)
    }

    private func bufferedBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }
}
