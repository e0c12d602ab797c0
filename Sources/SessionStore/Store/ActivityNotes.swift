import NIOCore
import Synchronization

/// Sessions whose activity is to be noted in the index. Nobody waits for it, so notes gather for a few milliseconds: one command per bucket
/// instead of two per turn.
///
/// Listing writes this replica's first. A note that is lost is made up for by the session's next one.
final class ActivityNotes: Sendable {
    private struct State {
        var notes: [SessionID: Int64] = [:]
        var isScheduled = false
    }

    /// How long notes gather.
    static let delay = TimeAmount.milliseconds(5)
    /// As many are written at once.
    static let limit = 1024

    private let client: RedisClient
    private let state = Mutex(State())

    init(client: RedisClient) {
        self.client = client
    }

    /// - Parameter time: Milliseconds since 1970 on Redis's clock.
    func note(_ session: SessionID, at time: Int64) {
        let (isFull, schedules) = state.withLock { state in
            state.notes[session] = time
            defer { state.isScheduled = true }
            return (state.notes.count >= Self.limit, !state.isScheduled)
        }
        if isFull { write() }
        if schedules {
            client.subscriber.eventLoop.scheduleTask(in: Self.delay) { [weak self] in
                self?.state.withLock { $0.isScheduled = false }
                self?.write()
            }
        }
    }

    /// The session is gone.
    func forget(_ session: SessionID) {
        state.withLock { _ = $0.notes.removeValue(forKey: session) }
    }

    /// Writes what has gathered, and waits for it; gives up at the first failure.
    func flush() async {
        for (key, command) in take() {
            do throws(RedisError) { _ = try await client.route(for: key).send(command) } catch { return }
        }
    }

    private func write() {
        for (key, command) in take() { client.route(for: key).submit(command) { _ in } }
    }

    /// What has gathered: a command for each bucket.
    private func take() -> [(key: String, command: RedisCommand)] {
        let notes = state.withLock { state in
            defer { state.notes = [:] }
            return state.notes
        }
        return Dictionary(grouping: notes, by: { RedisKeys($0.key).bucket }).map { bucket, notes in
            let key = RedisKeys.index(bucket: bucket)
            var command = RedisCommand("ZADD", capacity: key.utf8.count + 80 * notes.count)
            command.append(key)
            command.append("GT")
            for (session, time) in notes {
                command.append(integer: time)
                command.append(session.text)
            }
            return (key, command)
        }
    }
}
