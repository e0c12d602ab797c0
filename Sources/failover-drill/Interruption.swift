import Dispatch
import Foundation
import Synchronization

/// Ctrl-C ends a drill early, with a report of what there was until then and nothing left running; the second one ends the program.
struct Interruption {
    private let sources: [any DispatchSourceSignal]

    init(_ handler: @escaping @Sendable () -> Void) {
        let isFirst = Flag()
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                // What was started is killed when the process exits.
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

        /// Whether it was set; it is not afterwards.
        func take() -> Bool { isSet.exchange(false, ordering: .relaxed) }
    }
}
