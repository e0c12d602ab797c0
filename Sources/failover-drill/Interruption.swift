import Dispatch
import Foundation
import Synchronization

/// Ends a drill early on Ctrl-C. The drill then reports on what it has seen so far and leaves
/// nothing running. A second Ctrl-C ends the program at once.
struct Interruption {
    private let sources: [any DispatchSourceSignal]

    init(_ handler: @escaping @Sendable () -> Void) {
        let isFirst = Flag()
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                // The processes that the drill has started are killed when this process exits.
                guard isFirst.take() else { exit(130) }
                handler()
            }
            source.resume()
            return source
        }
    }

    func end() {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }

    private final class Flag: Sendable {
        private let isSet = Atomic<Bool>(true)

        /// Clears the flag and returns whether it was set.
        func take() -> Bool { isSet.exchange(false, ordering: .relaxed) }
    }
}
