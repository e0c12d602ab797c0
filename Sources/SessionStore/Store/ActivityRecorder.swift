import NIOCore
import RedisClient
import Synchronization

/// Sessions whose activity is to be noted in the index. Nobody waits for it, so notes gather for a few milliseconds: one command per bucket
/// instead of two per turn.
///
/// Listing writes this replica's first. What could not be written is tried again after a while.
final class ActivityRecorder: Sendable {
    private struct State {
        var notes: [SessionID: Int64] = [:]
        var isScheduled = false
        /// Some could not be written, and wait for the next time.
        var isHeld = false
    }

    /// How long notes gather.
    static let delay = TimeAmount.milliseconds(5)
    /// As many are written at once.
    static let limit = 1024
    /// How long notes wait that could not be written, and how many; a session whose note is lost is not listed before its next message.
    static let pause = TimeAmount.seconds(1)
    static let mostKept = 65_536

    private let client: RedisConnectionPool
    private let state = Mutex(State())

    init(client: RedisConnectionPool) {
        self.client = client
    }

    /// - Parameter time: Milliseconds since 1970 on Redis's clock.
    func note(_ session: SessionID, at time: Int64) {
        let (isFull, schedules) = state.withLock { state in
            state.notes[session] = time
            defer { state.isScheduled = true }
            return (state.notes.count >= Self.limit && !state.isHeld, !state.isScheduled)
        }
        if isFull { write() }
        if schedules { schedule(in: Self.delay) }
    }

    private func schedule(in delay: TimeAmount) {
        client.subscriber.eventLoop.scheduleTask(in: delay) { [weak self] in
            self?.state.withLock { ($0.isScheduled, $0.isHeld) = (false, false) }
            self?.write()
        }
    }

    /// The session is gone.
    func forget(_ session: SessionID) {
        state.withLock { _ = $0.notes.removeValue(forKey: session) }
    }

    /// Writes what has gathered, and waits for it; gives up at the first failure.
    func flush() async {
        let batches = take()
        for (index, batch) in batches.enumerated() {
            do throws(RedisError) {
                _ = try await client.route(for: batch.key).send(batch.command)
            } catch {
                for unwritten in batches[index...] { putBack(unwritten.notes) }
                return
            }
        }
    }

    private func write() {
        for batch in take() {
            client.route(for: batch.key).submit(batch.command) { [weak self] result in
                if case .failure = result { self?.putBack(batch.notes) }
            }
        }
    }

    /// Written once more, they take nothing back: only what is later counts.
    private func putBack(_ notes: [Note]) {
        let schedules = state.withLock { state in
            for (session, time) in notes {
                guard state.notes.count < Self.mostKept || state.notes[session] != nil else { break }
                state.notes[session] = max(time, state.notes[session] ?? time)
            }
            defer { (state.isScheduled, state.isHeld) = (true, true) }
            return !state.isScheduled
        }
        if schedules { schedule(in: Self.pause) }
    }

    private typealias Note = (key: SessionID, value: Int64)

    /// What has gathered: a command for each bucket.
    private func take() -> [(key: String, command: RedisCommand, notes: [Note])] {
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
            return (key, command, notes)
        }
    }
}
