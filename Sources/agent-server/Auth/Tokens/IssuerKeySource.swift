import Locks
import Logging
import NIOCore
import ServiceLifecycle

/// Fetches the keys of the issuer: at the start, every ten minutes, and at once for a token with an
/// unknown key. Keys that were fetched stay in use while the issuer is away.
final class IssuerKeySource: Service {
    /// How often the keys are fetched while the issuer replies.
    static let period = Duration.seconds(600)
    /// The least time between two fetches for unknown keys. A client that invents keys makes the
    /// server ask the issuer no more often.
    static let cooldown = Duration.seconds(30)
    private static let firstRetry = Duration.seconds(1)
    private static let lastRetry = Duration.seconds(60)

    private struct State {
        /// The fetch that is under way.
        var flight: Task<Bool, Never>?
        /// The time at which the latest fetch for an unknown key began.
        var asked: ContinuousClock.Instant?
        /// Whether the last fetch has brought keys.
        var isFresh = false
    }

    private let state = Guarded(State())
    private let store: CredentialStore
    private let logger: Logger
    private let fetch: @Sendable () async throws(CredentialFileError) -> ByteBuffer

    /// - Parameter fetch: Asks the issuer for its set of keys. Ends within a time of its own.
    init(
        store: CredentialStore, logger: Logger, fetch: @escaping @Sendable () async throws(CredentialFileError) -> ByteBuffer
    ) {
        self.store = store
        self.logger = logger
        self.fetch = fetch
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var retry = Self.firstRetry
            while true {
                let flight = self.flight()
                let isFresh = await withTaskCancellationHandler {
                    await flight.value
                } onCancel: {
                    // The server stops, and does not wait for the issuer.
                    flight.cancel()
                }
                try await Task.sleep(for: isFresh ? Self.period : retry)
                retry = isFresh ? Self.firstRetry : min(retry * 2, Self.lastRetry)
            }
        }
    }

    /// Fetches the keys for a token with an unknown one: joins the fetch that is under way, or begins
    /// one unless the last one was a moment ago.
    ///
    /// - Returns: Whether the issuer replied to the last fetch.
    func refresh(now: ContinuousClock.Instant = .now) async -> Bool {
        let (flight, isFresh) = state.withLock { state -> (Task<Bool, Never>?, Bool) in
            if let flight = state.flight { return (flight, false) }
            if let asked = state.asked, now - asked < Self.cooldown { return (nil, state.isFresh) }
            state.asked = now
            return (begin(&state), false)
        }
        return await flight?.value ?? isFresh
    }

    /// Returns the fetch that is under way, or a new one.
    private func flight() -> Task<Bool, Never> {
        state.withLock { state in state.flight ?? begin(&state) }
    }

    private func begin(_ state: inout State) -> Task<Bool, Never> {
        // A task of its own: all requests that wait for the keys share it, and none of them ends it
        // by leaving.
        let flight = Task {
            let isFresh = await update()
            self.state.withLock { state in
                state.flight = nil
                state.isFresh = isFresh
            }
            return isFresh
        }
        state.flight = flight
        return flight
    }

    private func update() async -> Bool {
        do throws(CredentialFileError) {
            let keys = try await IssuerKeys(parsing: try await fetch())
            let isChanged = keys.digest != store.current.issuer.digest
            if isChanged { store.replace(keys) }
            if isChanged || !state.withLock({ $0.isFresh }) {
                logger.notice("the issuer's keys were fetched", metadata: ["count": "\(keys.count)"])
            }
            return true
        } catch {
            let consequence = store.current.issuer.count > 0 ? "those fetched before stay in use" : "tokens get 503 until then"
            logger.error("the issuer's keys cannot be fetched; \(consequence)", metadata: ["error": "\(error)"])
            return false
        }
    }
}
